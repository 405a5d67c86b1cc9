#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""A second reader of capture files, written from format/FORMAT.md alone.

    read_capture.py FORMAT.md FILE          prints what `ascope dump --json FILE` prints: one JSON object a record

Names of kinds and columns are taken from the document's own tables, so that a table that is wrong shows. Limits of section 8 are checked before anything
is used. Nothing of ascope is used: libzstd and libxxhash by ctypes.

Exit: 0 the whole file was read and closed; 1 no capture; 3 damaged or cut short, what is intact was printed.
"""
import ctypes
import json
import re
import struct
import sys

MAGIC = b"\x89ASC\r\n\x1a\n"
MAX_PAYLOAD = 16_777_216
MAX_ROWS, MAX_SECTIONS, MAX_COLUMNS, MAX_VALUES, MAX_DICT, MAX_CLASSES = 262_144, 64, 64, 8_388_608, 256, 4096
MAX_CODED, MAX_TREE = 4096, 65_536
MAX_STRING, MAX_FRAMES, MAX_PERFMAP = 4096, 512, 4096
HEADER, BLOCK_HEADER, TRAILER = 64, 80, 32
EVENTS, FOOTER, DICTIONARY, COPY = 1, 2, 3, 4
PAYLOAD_COLUMN, CLASS_COLUMN = 255, 254
MASK = (1 << 64) - 1

zstd = ctypes.CDLL("libzstd.so.1")
zstd.ZSTD_decompress.restype = ctypes.c_size_t
zstd.ZSTD_decompress.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
xxhash = ctypes.CDLL("libxxhash.so.0")
xxhash.XXH3_64bits.restype = ctypes.c_uint64
xxhash.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]


class Damaged(Exception):
    pass


def checksum(data):
    return xxhash.XXH3_64bits(bytes(data), len(data))


def read_document(path):
    """{kind id: (name, {column id: name}, names of columns that are string indices)} from the tables of section 6."""
    kinds, current = {}, None
    with open(path, encoding="utf-8") as file:
        for line in file:
            head = re.match(r"### (\d+) `(\w+)`", line)
            row = re.match(r"\| (\d+) \| (?:`(\w+)`|payload) \|(.*)\|", line)
            if head:
                current = kinds[int(head[1])] = (head[2], {}, set())
            elif line.startswith("## "):
                current = None
            elif row and current:
                name = row[2] or ("list" if "list" in row[3] else "bytes")
                current[1][int(row[1])] = name
                if row[3].strip().startswith("string:"):
                    current[2].add(name)
    return kinds


class Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if n > len(self.data) - self.at:
            raise Damaged("data ends early")
        self.at += n
        return self.data[self.at - n:self.at]

    def varint(self):
        value = 0
        for shift in range(0, 70, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7f) << shift
            if byte < 0x80:
                if value > MASK:
                    raise Damaged("a varint above 64 bits")
                return value
        raise Damaged("a varint of more than ten bytes")

    def zigzag(self):
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def finish(self):
        if self.at != len(self.data):
            raise Damaged("data is not used up")


def read_column(data, encoding, rows, limit):
    c = Cursor(data)
    if encoding == 1:
        column = [c.varint()] * rows
    elif encoding == 2:
        column = [c.varint() for _ in range(rows)]
    elif encoding == 3:
        column, value = [], 0
        for _ in range(rows):
            value = (value + c.zigzag()) & MASK
            column.append(value)
    elif encoding == 4:
        n = c.varint()
        if n > MAX_DICT:
            raise Damaged("a dictionary of more than 256 values")
        values = [c.varint() for _ in range(n)]
        indices = c.take(rows)
        if any(i >= n for i in indices):
            raise Damaged("an index behind the dictionary")
        column = [values[i] for i in indices]
    elif encoding in (5, 6):
        lengths = [c.varint() for _ in range(rows)]
        if any(n > limit for n in lengths) or sum(lengths) > MAX_PAYLOAD:
            raise Damaged("a payload above its limit")
        column = [bytes(c.take(n)) if encoding == 5 else read_list(c, n) for n in lengths]
    elif encoding in (7, 8):
        column = read_split(c, rows)
        if encoding == 8:
            column = sum_up(column, [0] * rows)
    else:
        raise Damaged(f"encoding {encoding}")
    c.finish()
    return column


def read_split(c, rows):
    tokens = c.take(rows)
    extra = [0 if t < 16 else t // 4 - 2 for t in tokens]
    bits, at, column = c.take((sum(extra) + 7) // 8), 0, []
    for t, n in zip(tokens, extra):
        piece = int.from_bytes(bits[at // 8:(at + n + 7) // 8], "little") >> at % 8
        column.append(t if t < 16 else ((4 + t % 4) << n) | piece & ((1 << n) - 1))
        at += n
    return column


def sum_up(differences, groups):
    """Zigzag differences to the row before of the same group."""
    column, last = [], {}
    for zigzag, group in zip(differences, groups):
        last[group] = (last.get(group, 0) + ((zigzag >> 1) ^ -(zigzag & 1))) & MASK
        column.append(last[group])
    return column


class Classes:
    """The class column of a section, and the columns that go by it."""

    def __init__(self, data, rows):
        c = Cursor(data)
        self.n = c.varint()
        if self.n > min(MAX_CLASSES, rows):
            raise Damaged("too many classes")
        low, high = c.take(rows), c.take(rows) if self.n > 256 else bytes(rows)
        self.of, self.columns = [a + 256 * b for a, b in zip(low, high)], {}
        c.finish()
        if any(k >= self.n for k in self.of):
            raise Damaged("a class that is not there")

    def column(self, number, data, budget):
        budget[0] -= self.n
        if not data or data[0] in (5, 6):
            raise Damaged("encoding of a class column")
        values = read_column(data[1:], data[0], self.n, 0)
        self.columns[number] = [values[k] for k in self.of]
        return self.columns[number]

    def group(self, data, rows):
        c = Cursor(data)
        g = c.varint()
        if g not in self.columns:
            raise Damaged("groups by a column without classes")
        column = sum_up(read_split(c, rows), self.columns[g])
        c.finish()
        return column


class Code:
    """The decisions of a binary range coder."""

    def __init__(self, data):
        self.data, self.at, self.code, self.range = data, 4, int.from_bytes(data[:4].ljust(4, b"\0"), "big"), MASK >> 32

    def shift(self):
        while self.range < 1 << 24:
            self.code = (self.code << 8 | (self.data[self.at] if self.at < len(self.data) else 0)) & MASK >> 32
            self.range, self.at = self.range << 8, self.at + 1

    def bit(self, zero):
        """The next decision, whose part of the range for 0 is `zero`."""
        one = self.code >= zero
        if one:
            self.code, self.range = self.code - zero, self.range - zero
        else:
            self.range = zero
        self.shift()
        return int(one)

    def plain(self, n):
        value = 0
        for _ in range(n):
            self.range >>= 1
            one = self.code >= self.range
            self.code -= self.range if one else 0
            self.shift()
            value = 2 * value + one
        return value

    def number(self, tree, context=0):
        token = tree.read(self, context)
        extra = 0 if token < 16 else token // 4 - 2
        return token if token < 16 else (4 + token % 4) << extra | self.plain(extra)

    def finish(self):
        if self.at < len(self.data):
            raise Damaged("data is not used up")


class Tree:
    """Numbers of `bits` bits, whose decisions are learnt."""

    def __init__(self, bits):
        self.bits, self.nodes = bits, {}

    def read(self, code, context=0):
        node = 1
        for _ in range(self.bits):
            base = self.nodes.setdefault((0, node), [32768, 1])
            here = self.nodes.setdefault((context, node), [base[0], 2])
            bit = code.bit((code.range >> 16) * here[0])
            for learnt in (base, here) if context else (base,):
                step = 2 * learnt[1] + 1
                z = learnt[0] - 2 * learnt[0] // step if bit else learnt[0] + 2 * (65536 - learnt[0]) // step
                learnt[:] = min(max(z, 64), 65472), min(learnt[1] + 1, 30)
            node = 2 * node + bit
        return node - (1 << self.bits)


def signed(zigzag):
    return (zigzag >> 1) ^ -(zigzag & 1)


class Coded:
    """Columns of a section in encodings 11-14. values: {column id: its values}, of what was read so far; names: {id: name}."""

    def __init__(self, rows, names, values, outs, budget):
        self.rows, self.values, self.outs, self.budget = rows, values, outs, budget
        self.names, self.ids, self.symbols, self.passed = names, {name: i for i, name in names.items()}, {}, None

    def column(self, number, encoding, data):
        if self.rows > MAX_CODED:
            raise Damaged("too many rows for a code")
        self.budget[0] -= self.rows * (8 if encoding == 11 else 16)
        c = Cursor(data)
        g = c.varint() if encoding != 14 else 0
        if g not in self.symbols and g and not (encoding == 11 and g == number):
            raise Damaged("a code by a column without symbols")
        return {11: self.read_symbols, 12: self.read_steps, 13: self.read_like, 14: self.read_count}[encoding](c, g, number)

    def read_symbols(self, c, g, number):
        n, values = c.varint(), []
        if not 1 <= n <= min(MAX_CLASSES, self.rows):
            raise Damaged("number of symbols")
        for _ in range(n):
            values.append((c.varint() + (values[-1] if values else 0)) & MASK)
        tree, code, own = Tree(max(1, (n - 1).bit_length())), Code(c.take(len(c.data) - c.at)), []
        contexts = n if g == number else self.symbols[g][0] if g else 0
        if 1 + contexts << tree.bits > MAX_TREE:
            raise Damaged("too many contexts")
        for i in range(self.rows):
            context = 0 if not g or (g == number and not i) else 1 + (own[i - 1] if g == number else self.symbols[g][1][i])
            own.append(tree.read(code, context))
            if own[-1] >= n:
                raise Damaged("a symbol that is not there")
        code.finish()
        self.symbols[number] = n, own
        return [values[k] for k in own]

    def read_steps(self, c, g, _):
        period, points, column = c.varint(), {}, []
        first, counts, rests = Tree(8), Tree(8), Tree(8)
        code = Code(c.take(len(c.data) - c.at))
        for i in range(self.rows):
            group = self.symbols[g][1][i] if g else 0
            if group not in points:
                points[group] = ((column[-1] if column else 0) + signed(code.number(first))) & MASK
                column.append(points[group])
                continue
            if period:
                points[group] += (signed(code.number(counts)) + 1) * period
            rest = signed(code.number(rests))
            column.append((points[group] + rest) & MASK)
            points[group] += rest if not period else rest // 16 if rest > 0 else -(-rest // 4)
            points[group] &= MASK
        code.finish()
        return column

    def look_beside(self, number, is_like):
        """Of each row the next switch and the recent row, as (rows of a kind by name, index), or None."""
        if "ts" not in self.ids or "thread" not in self.ids or "cpu" not in self.ids:
            raise Damaged("no times, cpus and threads")
        ts, thread, cpu = (self.values.get(self.ids[name]) for name in ("ts", "thread", "cpu"))
        if ts is None or cpu is None or (thread is None and (number != self.ids["thread"] or not is_like)):
            raise Damaged("no times, cpus and threads yet")
        outs, at, latest, own, found = self.outs, 0, {}, {}, []
        if self.passed is None:
            self.budget[0] -= len(outs)
            self.passed = True
        waiting = {}
        for k in reversed(range(len(outs))):
            waiting.setdefault(outs[k]["cpu"] % 4096, []).append(k)
        for i in range(self.rows):
            while at < len(outs) and outs[at]["ts"] <= ts[i]:
                waiting[outs[at]["cpu"] % 4096].pop()
                latest[outs[at]["thread"] % 4096] = at
                at += 1
            queue, recent = waiting.get(cpu[i] % 4096), None
            if thread:
                slot = thread[i] % 4096
                a, b = latest.get(slot), own.get(slot)
                recent = ("own", b) if b is not None and (a is None or ts[b] >= outs[a]["ts"]) else ("out", a) if a is not None else None
                own[slot] = i
            found.append((outs[queue[-1]] if queue else None, recent))
        return found, ts, thread

    def of_recent(self, recent, name, column):
        kind, index = recent
        return column[index] if kind == "own" else self.outs[index].get(name, 0)

    def read_like(self, c, g, number):
        other, values, column, name = Tree(1), Tree(8), [], self.names[number]
        code, (found, _, thread) = Code(c.take(len(c.data) - c.at)), self.look_beside(number, True)
        for i, (after, recent) in enumerate(found):
            if name == "thread":
                value = after["thread"] if after else column[-1] if column else 0
            elif after and after["thread"] == thread[i] and name in after:
                value = after[name]
            else:
                value = self.of_recent(recent, name, column) if recent else 0
            column.append(code.number(values) if other.read(code, 1 + self.symbols[g][1][i] if g else 0) else value)
        code.finish()
        return column

    def read_count(self, c, _, number):
        tree, column, name = Tree(8), [], self.names[number]
        code, (found, ts, thread) = Code(c.take(len(c.data) - c.at)), self.look_beside(number, False)
        for i, (after, recent) in enumerate(found):
            value, context = (self.of_recent(recent, name, column), 34) if recent else (0, 35)
            if recent and after and after["thread"] == thread[i] and name in after:
                since = self.of_recent(recent, "ts", ts)
                growth, span, at = ((a - b) & MASK for a, b in ((after[name], value), (after["ts"], since), (ts[i], since)))
                if growth < 1 << 32 and 0 < span < 1 << 32 and at <= span:
                    value, context = value + growth * at // span, 1 + growth.bit_length()
            column.append((value + signed(code.number(tree, context))) & MASK)
        code.finish()
        return column


def read_ordinary(number, encoding, data, rows, classes, coded, budget):
    if 11 <= encoding <= 14:
        return coded.column(number, encoding, data)
    if encoding not in (9, 10):
        return read_column(data, encoding, rows, 0)
    if classes is None:
        raise Damaged("no class column")
    return classes.column(number, data, budget) if encoding == 9 else classes.group(data, rows)


def read_list(c, n):
    value, out = 0, []
    for _ in range(n):
        value = (value + c.zigzag()) & MASK
        out.append(value)
    return out


def read_section(c, kinds, budget, outs):
    """(kind, rows) with rows as dicts; None for a kind that is not known."""
    kind, rows, columns, size = c.varint(), c.varint(), c.varint(), c.varint()
    if kind >> 32 or rows > MAX_ROWS or columns > MAX_COLUMNS + 2 or size > MAX_PAYLOAD:
        raise Damaged("a section above the limits")
    body = Cursor(c.take(size))
    if kind not in kinds:
        return kind, rows, None
    name, known, _ = kinds[kind]
    directory = [(body.varint(), body.take(1)[0], body.varint()) for _ in range(columns)]
    if len({d[0] for d in directory}) != columns or any(not 1 <= d[0] <= PAYLOAD_COLUMN for d in directory):
        raise Damaged("a column twice, or a number that no column has")
    limit = MAX_FRAMES if name == "stack" else MAX_PERFMAP if name == "perfmap" else MAX_STRING
    values, classes = {}, None
    coded = Coded(rows, known, values, outs, budget)
    for column, encoding, length in directory:
        data = body.take(length)
        if column == CLASS_COLUMN:
            if encoding != 9:
                raise Damaged("encoding of the class column")
            classes = Classes(data, rows)
        elif column in known:
            if (column == PAYLOAD_COLUMN) != (encoding in (5, 6)):
                raise Damaged("an encoding of another kind of column")
            values[column] = (read_column(data, encoding, rows, limit) if column == PAYLOAD_COLUMN
                              else read_ordinary(column, encoding, data, rows, classes, coded, budget))
    body.finish()
    budget[0] -= rows * len(known.keys() - {PAYLOAD_COLUMN}) + sum(map(len, values.get(PAYLOAD_COLUMN, [])))
    if budget[0] < 0:
        raise Damaged("more values than a block may have")
    empty = {PAYLOAD_COLUMN: [] if known.get(PAYLOAD_COLUMN) == "list" else b""}
    return kind, rows, [{known[i]: values[i][row] if i in values else empty.get(i, 0) for i in known} for row in range(rows)]


def read_block(header, payload, kinds):
    flags, raw_size, n_rows, n_sections = header["flags"], header["raw"], header["rows"], header["sections"]
    if flags != 1 or n_sections > MAX_SECTIONS:
        raise Damaged("unknown flags")
    raw = ctypes.create_string_buffer(raw_size + 1)
    if zstd.ZSTD_decompress(raw, raw_size, payload, len(payload)) != raw_size:
        raise Damaged("the payload does not decompress to its size")
    c, budget = Cursor(raw.raw[:raw_size]), [MAX_VALUES]
    sections, outs = [], []
    for _ in range(n_sections):
        sections.append(read_section(c, kinds, budget, outs))
        if kinds.get(sections[-1][0], ("",))[0] == "switch_out":
            outs = sections[-1][2]
    c.finish()
    if sum(rows for _, rows, _ in sections) != n_rows:
        raise Damaged("rows of the sections are not those of the block")
    return sections


class Blocks:
    """The blocks of a file by the rules of section 3: iterating gives (sequence number, sections) of each that is to be taken, recovered ones in their place."""

    def __init__(self, data, first, uuid, kinds):
        self.data, self.at, self.uuid, self.kinds = data, first, uuid[:8], kinds
        self.number = 0  # the one expected
        self.whole, self.closed = True, False
        self.ahead = first  # copies were looked for up to here

    def header(self, at):
        """The header at `at`, or None when none holds there."""
        raw = self.data[at:at + BLOCK_HEADER]
        if len(raw) < BLOCK_HEADER or raw[:4] != b"ABLK" or checksum(raw[:72]) != struct.unpack_from("<Q", raw, 72)[0]:
            return None
        kind, flags, seq, size, raw_size, rows, sections = struct.unpack_from("<HHQIIII", raw, 4)
        copy_of, payload_sum = struct.unpack_from("<QQ", raw, 48)
        if raw[64:72] != self.uuid or size > MAX_PAYLOAD or raw_size > MAX_PAYLOAD or sections > MAX_SECTIONS or seq == MASK:
            return None
        if kind == COPY and copy_of >= seq:
            return None
        return {"type": kind, "flags": flags, "seq": seq, "size": size, "raw": raw_size, "rows": rows, "sections": sections,
                "copy_of": copy_of, "sum": payload_sum, "end": at + BLOCK_HEADER + size}

    def find(self, at):
        """The next place, from `at` on, at which a header holds; the end of the file."""
        while (at := self.data.find(b"ABLK", at)) >= 0:
            if self.header(at):
                return at
            at += 1
        return len(self.data)

    def contents(self, header):
        """Its sections; Damaged. Of a type that is not known they are not looked at."""
        payload = bytes(self.data[header["end"] - header["size"]:header["end"]])
        if checksum(payload) != header["sum"]:
            raise Damaged("checksum")
        return read_block(header, payload, self.kinds) if header["type"] in (EVENTS, FOOTER, DICTIONARY, COPY) else []

    def recovered(self, first, end):
        """The copies that there are of blocks [first, end)."""
        self.ahead = max(self.ahead, self.at)
        while first < end and self.ahead < len(self.data):
            header = self.header(self.ahead)
            if header is None or header["end"] > len(self.data):
                self.ahead = self.find(self.ahead + 1)
            elif header["type"] != COPY or header["copy_of"] < first:
                self.ahead = header["end"]
            elif header["copy_of"] >= end:
                return
            else:
                first = header["copy_of"] + 1
                try:
                    yield header["copy_of"], self.contents(header | {"type": DICTIONARY})
                except Damaged:
                    pass

    def behind(self, header):
        """Where to go on behind a block whose payload is damaged."""
        end = header["end"]
        if end == len(self.data) or self.header(end) or checksum(self.data[end - header["size"]:end]) == header["sum"]:
            return end
        return min(end, self.find(end - header["size"]))

    def __iter__(self):
        while self.at < len(self.data):
            header = self.header(self.at)
            if header is None:
                self.whole = False
                self.at = self.find(self.at + 1)
                continue
            seq, fits = header["seq"], header["end"] <= len(self.data)
            if seq > self.number:
                self.whole = False
                yield from self.recovered(self.number, seq)
                self.number = seq
            if seq < self.number or not fits:
                self.whole = False
                self.at = header["end"] if fits else self.find(self.at + 1)
                if seq >= self.number and header["type"] == DICTIONARY:
                    yield from self.recovered(seq, seq + 1)
                self.number = max(self.number, seq + 1)
                continue
            self.number = seq + 1
            try:
                sections = self.contents(header)
            except Damaged:
                self.whole = False
                self.at = self.behind(header)
                if header["type"] == DICTIONARY:
                    yield from self.recovered(seq, seq + 1)
                continue
            start, self.at = self.at, header["end"]
            if header["type"] != COPY:
                yield seq, sections
            if header["type"] == FOOTER:
                trailer = self.data[self.at:]
                self.closed = (len(trailer) == TRAILER and trailer[:8] == b"ASCOPEND" and struct.unpack_from("<Q", trailer, 8)[0] == start
                               and checksum(trailer[:24]) == struct.unpack_from("<Q", trailer, 24)[0])
                return


def gather_strings(sections, kinds, strings):
    """The first entry of an index holds; entries may stand behind what uses them."""
    for kind, _, rows in sections:
        for row in rows if rows and kinds[kind][0] == "string" else []:
            if row["idx"]:  # 0 means none, whoever says otherwise
                strings.setdefault(row["idx"], row["bytes"].decode("utf-8", "replace"))


def print_block(seq, sections, kinds, strings, out):
    """As `ascope dump` does: strings in place of their indices, null for index 0 and lost ones; a column named `kind` with its record's kind in front."""
    for kind, n, rows in sections:
        if rows is None:  # they are counted
            out.write(json.dumps({"block": seq, "kind": None, "kind_id": kind, "rows": n}, separators=(",", ":")) + "\n")
            continue
        name, _, texts = kinds[kind]
        for row in rows:
            shown = {"block": seq, "kind": name}
            for column, value in row.items():
                if column in texts:
                    index, value = value, strings.get(value)
                elif isinstance(value, bytes):
                    value = value.decode("utf-8", "replace")
                shown[f"{name}_kind" if column == "kind" else column] = value
                if column in texts and index and value is None:
                    shown[f"{column}_idx"] = index  # its text is lost
            out.write(json.dumps(shown, ensure_ascii=False, separators=(",", ":")) + "\n")


def header_holds(header):
    return header[:8] == MAGIC and checksum(header[:56]) == struct.unpack_from("<Q", header, 56)[0]


def mended(header):
    """The header with the one byte put right that is wrong, or None."""
    right = struct.pack("<Q", checksum(header[:56]))
    if sum(a != b for a, b in zip(right, header[56:])) == 1:
        return header[:56] + right
    for at in range(56):
        for value in range(256):
            other = header[:at] + bytes([value]) + header[at + 1:]
            if struct.pack("<Q", checksum(other[:56])) == header[56:]:
                return other
    return None


def read_file(data, kinds, out):
    """Prints all intact records. True when the file was closed and nothing is damaged."""
    mend = len(data) >= HEADER and not header_holds(data[:HEADER]) and mended(bytes(data[:HEADER]))
    if mend:
        data = mend + data[HEADER:]
    if len(data) < HEADER or not header_holds(data[:HEADER]):
        raise ValueError("not a capture file")
    version, header_size, _, incompat = struct.unpack_from("<IIQQ", data, 8)
    if version != 1 or incompat or not HEADER <= header_size <= 65536:
        raise ValueError("of a version or with a feature that this document does not know")
    blocks, strings = Blocks(data, header_size, data[32:48], kinds), {}
    intact = list(blocks)
    for _, sections in intact:
        gather_strings(sections, kinds, strings)
    for seq, sections in intact:
        print_block(seq, sections, kinds, strings, out)
    return blocks.whole and blocks.closed and not mend


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    with open(sys.argv[2], "rb") as file:
        data = file.read()
    try:
        return 0 if read_file(data, read_document(sys.argv[1]), sys.stdout) else 3
    except ValueError as error:
        print(f"{sys.argv[2]}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
