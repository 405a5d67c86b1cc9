/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * flame_data.c: merges the stacks of one or two profiles into a tree and writes its columns (flame_data.h).
 * Invariant: nodes are found by (parent, frame) and never move; children stand in the order in which stacks first came to them, which
 * the profile sorts, so the same profile gives the same bytes.
 */
#include "report/flame_data.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/buf.h"
#include "base/strtab.h"
#include "base/u64map.h"

#define NONE ((u32)-1)

enum { KIND_SYNTHETIC = FRAME_KERNEL + 1, KIND_UNKNOWN };

/* What frames of equal name and kind have become. Texts are positions in the strings. */
struct flame_frame {
	u32 name, path, short_name, file, module;
	u8 kind;
	bool inlined;
};

struct flame_node {
	u32 frame;
	u32 first_child, last_child, next_sibling; /* NONE: no more */
	u64 line_lo, line_hi;			   /* 0: not known */
	u64 ns[2], samples[2];			   /* its own: of the profile, of the base */
};

struct flame_tree {
	struct strtab *strings;
	struct strtab *frame_keys; /* index - 1 is a frame's position, behind the root's */
	struct flame_frame *frames;
	size_t n_frames, cap_frames;
	struct u64map children; /* parent << 32 | frame: node */
	struct flame_node *nodes;
	size_t n_nodes, cap_nodes;
};

static void flame_tree_release(struct flame_tree *t)
{
	t->strings = strtab_free(t->strings);
	t->frame_keys = strtab_free(t->frame_keys);
	u64map_release(&t->children);
	free(t->frames);
	free(t->nodes);
}

static u8 kind_of(const struct profile_frame *f)
{
	if (f->synthetic)
		return KIND_SYNTHETIC;
	if (f->has_kind)
		return (u8)f->kind;
	return f->kernel ? FRAME_KERNEL : KIND_UNKNOWN;
}

static int intern(struct flame_tree *t, const char *s, u32 *ret)
{
	return s && *s ? strtab_intern(t->strings, s, strlen(s), ret, NULL) : (*ret = 0, 0);
}

/* The texts of a frame that is new. */
static int frame_fill(struct flame_tree *t, const struct profile_frame *f, struct flame_frame *ret)
{
	char text[FRAME_NAME_LEN];
	bool is_code = !f->synthetic && !f->kernel;
	int r;

	*ret = (struct flame_frame){.kind = kind_of(f), .inlined = f->inlined};
	r = intern(t, f->name, &ret->name);
	if (r == 0)
		r = intern(t, is_code ? frame_function_path(f->name, text, sizeof(text)) : f->name, &ret->path);
	if (r == 0)
		r = intern(t, is_code ? frame_display_function(f->name, text, sizeof(text)) : f->name, &ret->short_name);
	if (r == 0)
		r = intern(t, f->file, &ret->file);
	if (r == 0)
		r = intern(t, f->module, &ret->module);
	return r;
}

/* The position of a profile's frame among the tree's; `key` is scratch. */
static int frame_find(struct flame_tree *t, const struct profile_frame *f, struct buf *key, u32 *ret)
{
	bool is_new;
	u32 idx;
	int r;

	buf_reset(key);
	buf_putc(key, (u8)(1 + kind_of(f) * 2 + f->inlined));
	buf_puts(key, f->name);
	r = buf_err(key);
	if (r == 0)
		r = strtab_intern(t->frame_keys, (const char *)key->data, key->len, &idx, &is_new);
	if (r < 0)
		return r;
	if (is_new) {
		r = ARRAY_ROOM(t->frames, t->n_frames, &t->cap_frames);
		if (r == 0)
			r = frame_fill(t, f, &t->frames[t->n_frames]);
		if (r < 0)
			return r;
		t->n_frames++;
	} else if (!t->frames[idx].file && f->file) {
		r = intern(t, f->file, &t->frames[idx].file);
		if (r < 0)
			return r;
	}
	*ret = idx;
	return 0;
}

static int node_new(struct flame_tree *t, u32 frame, u32 *ret)
{
	int r = t->n_nodes >= NONE ? -ENOMEM : ARRAY_ROOM(t->nodes, t->n_nodes, &t->cap_nodes);

	if (r < 0)
		return r;
	t->nodes[t->n_nodes] = (struct flame_node){.frame = frame, .first_child = NONE, .last_child = NONE, .next_sibling = NONE};
	*ret = (u32)t->n_nodes++;
	return 0;
}

static int child_of(struct flame_tree *t, u32 parent, u32 frame, u32 *ret)
{
	u64 key = (u64)parent << 32 | frame, found;
	struct flame_node *p;
	int r;

	if (u64map_get(&t->children, key, &found)) {
		*ret = (u32)found;
		return 0;
	}
	r = node_new(t, frame, ret);
	if (r == 0)
		r = u64map_put(&t->children, key, *ret);
	if (r < 0)
		return r;
	p = &t->nodes[parent];
	if (p->last_child == NONE)
		p->first_child = *ret;
	else
		t->nodes[p->last_child].next_sibling = *ret;
	p->last_child = *ret;
	return 0;
}

static void note_line(struct flame_node *n, u64 line)
{
	if (!line)
		return;
	if (!n->line_lo || line < n->line_lo)
		n->line_lo = line;
	if (line > n->line_hi)
		n->line_hi = line;
}

/* which: 0 the profile, 1 its base. */
static int tree_add(struct flame_tree *t, const struct profile *p, u32 which)
{
	_cleanup_free_ u32 *frames = calloc(p->n_frames ? p->n_frames : 1, sizeof(*frames));
	_cleanup_buf_ struct buf key = BUF_INIT;
	int r;

	if (!frames)
		return -ENOMEM;
	for (u32 i = 0; i < p->n_frames; i++) {
		r = frame_find(t, &p->frames[i], &key, &frames[i]);
		if (r < 0)
			return r;
	}
	for (u32 i = 0; i < p->n_stacks; i++) {
		const struct profile_stack *s = &p->stacks[i];
		u32 node = 0;

		for (u32 k = 0; k < s->n; k++) {
			r = child_of(t, node, frames[s->frames[k]], &node);
			if (r < 0)
				return r;
			note_line(&t->nodes[node], p->frames[s->frames[k]].line);
		}
		t->nodes[node].ns[which] += s->ns;
		t->nodes[node].samples[which] += s->samples;
	}
	return 0;
}

static int tree_build(struct flame_tree *t, const struct profile *p, const struct profile *base)
{
	static const struct profile_frame all = {.name = "all", .synthetic = true};
	u32 root;
	int r;

	t->strings = strtab_new();
	t->frame_keys = strtab_new();
	if (!t->strings || !t->frame_keys)
		return -ENOMEM;
	/* frame_find() counts from 1, as strtab does: position 0 is the root's alone. */
	r = ARRAY_ROOM(t->frames, 0, &t->cap_frames);
	if (r == 0)
		r = frame_fill(t, &all, &t->frames[0]);
	if (r < 0)
		return r;
	t->n_frames = 1;
	r = node_new(t, 0, &root);
	if (r == 0)
		r = tree_add(t, p, 0);
	if (r == 0 && base)
		r = tree_add(t, base, 1);
	return r;
}

/* ---- the columns ---- */

/* The nodes in preorder with their depths. */
static int preorder(const struct flame_tree *t, u32 **ret_order, u32 **ret_depths)
{
	_cleanup_free_ u32 *order = calloc(t->n_nodes, sizeof(u32)), *depths = calloc(t->n_nodes, sizeof(u32));
	_cleanup_free_ u32 *path = calloc(t->n_nodes, sizeof(u32)); /* the nodes from the root to where it is */
	u32 n = 0, depth = 0;

	if (!order || !depths || !path)
		return -ENOMEM;
	for (;;) {
		u32 next = t->nodes[path[depth]].first_child;

		order[n] = path[depth];
		depths[n++] = depth;
		if (next != NONE) {
			path[++depth] = next;
			continue;
		}
		while (depth && t->nodes[path[depth]].next_sibling == NONE)
			depth--;
		if (!depth)
			break;
		path[depth] = t->nodes[path[depth]].next_sibling;
	}
	*ret_order = TAKE_PTR(order);
	*ret_depths = TAKE_PTR(depths);
	return 0;
}

static void put_strings(struct json *j, const struct flame_tree *t)
{
	json_key(j, "strings");
	json_array_begin(j);
	json_string(j, "");
	for (u32 i = 1; i <= strtab_count(t->strings); i++) {
		size_t n;
		const char *s = strtab_get(t->strings, i, &n);

		json_stringn(j, s, n);
	}
	json_array_end(j);
}

#define PUT_COLUMN(j, key, n, i, value)                                                                                          \
	do {                                                                                                                     \
		json_key((j), (key));                                                                                            \
		json_array_begin(j);                                                                                             \
		for (size_t i = 0; i < (n); i++)                                                                                 \
			json_u64((j), (value));                                                                                  \
		json_array_end(j);                                                                                               \
	} while (0)

static void put_frames(struct json *j, const struct flame_tree *t)
{
	json_key(j, "frames");
	json_object_begin(j);
	PUT_COLUMN(j, "name", t->n_frames, i, t->frames[i].name);
	PUT_COLUMN(j, "path", t->n_frames, i, t->frames[i].path);
	PUT_COLUMN(j, "short", t->n_frames, i, t->frames[i].short_name);
	PUT_COLUMN(j, "file", t->n_frames, i, t->frames[i].file);
	PUT_COLUMN(j, "module", t->n_frames, i, t->frames[i].module);
	PUT_COLUMN(j, "kind", t->n_frames, i, t->frames[i].kind);
	PUT_COLUMN(j, "inlined", t->n_frames, i, t->frames[i].inlined);
	json_object_end(j);
}

static void put_nodes(struct json *j, const struct flame_tree *t, const u32 *order, const u32 *depths, bool has_base)
{
	const struct flame_node *nodes = t->nodes;

	json_key(j, "nodes");
	json_object_begin(j);
	PUT_COLUMN(j, "depth", t->n_nodes, i, depths[i]);
	PUT_COLUMN(j, "frame", t->n_nodes, i, nodes[order[i]].frame);
	PUT_COLUMN(j, "self_ns", t->n_nodes, i, nodes[order[i]].ns[0]);
	PUT_COLUMN(j, "self_samples", t->n_nodes, i, nodes[order[i]].samples[0]);
	PUT_COLUMN(j, "line", t->n_nodes, i, nodes[order[i]].line_lo);
	PUT_COLUMN(j, "lines", t->n_nodes, i, nodes[order[i]].line_hi - nodes[order[i]].line_lo);
	if (has_base) {
		PUT_COLUMN(j, "base_ns", t->n_nodes, i, nodes[order[i]].ns[1]);
		PUT_COLUMN(j, "base_samples", t->n_nodes, i, nodes[order[i]].samples[1]);
	}
	json_object_end(j);
}

static void put_totals(struct json *j, const struct profile *p)
{
	json_kv_u64(j, "total_ns", p->ns);
	json_kv_u64(j, "samples", p->samples);
	json_kv_u64(j, "period_ns", p->period_ns);
	json_kv_u64(j, "lo_ns", p->lo);
	json_kv_u64(j, "hi_ns", p->hi);
}

int flame_data_put(struct json *j, const struct profile *p, const struct profile *base)
{
	_cleanup_(flame_tree_release) struct flame_tree t = {0};
	_cleanup_free_ u32 *order = NULL, *depths = NULL;
	int r = tree_build(&t, p, base);

	if (r == 0)
		r = preorder(&t, &order, &depths);
	if (r < 0)
		return r;
	json_object_begin(j);
	put_totals(j, p);
	if (base) {
		json_key(j, "base");
		json_object_begin(j);
		put_totals(j, base);
		json_object_end(j);
	}
	json_key(j, "kinds");
	json_array_begin(j);
	for (u32 k = 0; k <= FRAME_KERNEL; k++)
		json_string(j, frame_kind_name(k));
	json_string(j, "synthetic");
	json_string(j, "unknown");
	json_array_end(j);
	put_strings(j, &t);
	put_frames(j, &t);
	put_nodes(j, &t, order, depths, base != NULL);
	json_object_end(j);
	return 0;
}
