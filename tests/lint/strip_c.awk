# SPDX-License-Identifier: MIT OR Apache-2.0
# strip_c.awk: C text without comments and without the contents of strings, line by line, for the greps of this folder. A `//` comment
# becomes @LINE_COMMENT@.
{
	out = ""
	n = length($0)
	for (i = 1; i <= n; i++) {
		c = substr($0, i, 1)
		two = substr($0, i, 2)
		if (in_comment) {
			if (two == "*/") {
				in_comment = 0
				out = out " "
				i++
			}
		} else if (quote != "") {
			if (c == "\\")
				i++
			else if (c == quote) {
				out = out c
				quote = ""
			}
		} else if (two == "/*") {
			in_comment = 1
			i++
		} else if (two == "//") {
			out = out "@LINE_COMMENT@"
			break
		} else {
			if (c == "\"" || c == "'")
				quote = c
			out = out c
		}
	}
	quote = "" # a string does not span lines
	print out
}
