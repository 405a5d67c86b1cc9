#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# report --wakers --dot through Graphviz itself: it reads the graph without a word, and what it draws has the nodes, the edges and the labels of the report's
# JSON; names that DOT, HTML or printf would take for their own arrive as they are.
. "$(dirname "$0")/common.inc"
command -v dot >/dev/null || { echo 'Graphviz (dot) is not installed'; exit 77; }
cp "$captures/demo.ascope" demo.ascope
gunzip -c "$captures/demo.names.gz" >names

drawn() { # ARGS...: the graph of these options, drawn, beside the JSON
	expect 0 "$ASCOPE" report --wakers --dot --target names "$@"
	mv out graph.dot
	expect 0 "$ASCOPE" report --wakers --json --target names "$@"
	mv out wakers.json
	dot -Tsvg graph.dot >graph.svg 2>said || { cat said >&2; die 'dot refuses the graph'; }
	[ ! -s said ] || { cat said >&2; die 'dot warns'; }
	python3 - <<'PY'
import json
import xml.etree.ElementTree as xml

SVG = "{http://www.w3.org/2000/svg}"
want = json.load(open("wakers.json"))
drawn = {"node": {}, "edge": {}}
for g in xml.parse("graph.svg").iter(SVG + "g"):
    if g.get("class") in drawn:
        drawn[g.get("class")][g.find(SVG + "title").text] = [t.text.replace("\xa0", " ") for t in g.iter(SVG + "text")]
edges = {f"n{e['from']}->n{e['to']}": e for e in want["edges"]}
assert want["edges"] and drawn["edge"].keys() == edges.keys(), (drawn["edge"].keys(), edges.keys())
assert drawn["node"].keys() == {f"n{e[k]}" for e in want["edges"] for k in ("from", "to")}
for name, lines in drawn["edge"].items():
    assert lines[0].replace(",", "") == str(edges[name]["wakes"]), (name, lines)
    assert len(lines) == (2 if edges[name]["delays"] else 1), (name, lines)
for name, lines in drawn["node"].items():
    node = want["nodes"][int(name[1:])]
    assert lines[0] == node["name"], (lines, node)
    assert (node["spawned_at"] in lines) if node["spawned_at"] else True, (lines, node)
PY
}
drawn --top 0 demo.ascope
expect 0 "$ASCOPE" query --load demo.ascope
db=$(ls ./*.db)
evil='a"b\\n\\l<b>&amp;{x|y} %s \\'
sqlite3 "$db" "UPDATE task_type SET name = char(27) || '$evil' WHERE id = (SELECT type_id FROM _task_wake LIMIT 1)"
drawn --top 0 --db "$db" demo.ascope
grep -qF 'amp' graph.dot || die 'the hostile name is not in the graph'
