#include "cmd/verbs/policy_diff.h"

#define FIELDS          5u
#define TEXT_BYTES_MAX  65536u
#define ARENA_BYTES_MAX ((size_t)64 << 20)

enum field { FIELD_ACTION, FIELD_FROM, FIELD_TO, FIELD_METHOD, FIELD_PATH };
static const char *const field_word[FIELDS] = {"action", "from", "to", "method", "path"};

static size_t item_count(const struct policy_rule *r, enum field f)
{
    switch (f) {
    case FIELD_ACTION:
        return 1;
    case FIELD_FROM:
        return r->from_count;
    case FIELD_TO:
        return r->to_count;
    case FIELD_METHOD:
        return r->method_count;
    case FIELD_PATH:
        return r->path_count;
    }
    return 0;
}

static void add_caller(struct strbuf *sb, const struct policy_caller *c)
{
    if (c->kind == CALLER_ANY_AUTHENTICATED)
        strbuf_str(sb, "any-authenticated");
    else
        strbuf_fmt(sb, "%s%s", c->kind == CALLER_NODE ? "node:" : "", c->name.text);
}

static void add_item(struct strbuf *sb, const struct policy_rule *r, enum field f, size_t i)
{
    switch (f) {
    case FIELD_ACTION:
        strbuf_str(sb, r->action == POLICY_DENY ? "deny" : "allow");
        break;
    case FIELD_FROM:
        add_caller(sb, &r->from[i]);
        break;
    case FIELD_TO:
        strbuf_str(sb, r->to[i].text);
        break;
    case FIELD_METHOD:
        strbuf_span(sb, r->method[i]);
        break;
    case FIELD_PATH:
        strbuf_span(sb, r->path[i].text);
        if (r->path[i].prefix) strbuf_char(sb, '*');
        break;
    }
}

/* As TOML writes the field; "any" when it is left out. */
static void add_field(struct strbuf *sb, const struct policy_rule *r, enum field f)
{
    size_t n = item_count(r, f);
    if (n == 0) strbuf_str(sb, "any");
    for (size_t i = 0; i < n; i++) {
        strbuf_str(sb, i > 0 ? ", \"" : f == FIELD_ACTION ? "\"" : "[\"");
        add_item(sb, r, f, i);
        strbuf_char(sb, '"');
    }
    if (n > 0 && f != FIELD_ACTION) strbuf_char(sb, ']');
}

static void add_list(struct strbuf *sb, const struct policy_rule *r, enum field f)
{
    size_t n = item_count(r, f);
    for (size_t i = 0; i < n; i++) {
        if (i > 0) strbuf_char(sb, ',');
        add_item(sb, r, f, i);
    }
    if (n == 0) strbuf_char(sb, '*');
}

/* "allow jobs -> api POST /orders" */
static void add_rule(struct strbuf *sb, const struct policy_rule *r)
{
    strbuf_str(sb, r->action == POLICY_DENY ? "deny " : "allow ");
    add_list(sb, r, FIELD_FROM);
    strbuf_str(sb, " -> ");
    add_list(sb, r, FIELD_TO);
    for (unsigned f = FIELD_METHOD; f <= FIELD_PATH; f++) {
        if (item_count(r, (enum field)f) == 0) continue;
        strbuf_char(sb, ' ');
        add_list(sb, r, (enum field)f);
    }
}

static const struct policy_rule *rule_named(const struct policy_mesh *m, const char *name)
{
    for (size_t i = 0; i < m->rule_count; i++)
        if (strcmp(m->rule[i].name, name) == 0) return &m->rule[i];
    return NULL;
}

struct writer {
    struct policy_diff *out;
    struct strbuf text; /* scratch */
    bool nomem;
};

static const char *kept(struct writer *w)
{
    const char *copy = arena_dup(&w->out->arena, w->text.p, w->text.len);
    if (copy == NULL || !strbuf_ok(&w->text)) w->nomem = true;
    strbuf_reset(&w->text);
    return copy;
}

static struct policy_diff_row *push(struct writer *w, enum policy_change kind,
                                    const struct policy_rule *at)
{
    struct policy_diff_row *row = &w->out->row[w->out->count++];
    *row = (struct policy_diff_row){
        .kind = kind, .rule = at->name, .file = at->file, .line = at->line};
    return row;
}

static void compare(struct writer *w, const struct policy_rule *old, const struct policy_rule *next)
{
    for (unsigned f = 0; f < FIELDS; f++) {
        add_field(&w->text, old, (enum field)f);
        const char *from = kept(w);
        add_field(&w->text, next, (enum field)f);
        const char *to = kept(w);
        if (w->nomem || strcmp(from, to) == 0) continue;
        struct policy_diff_row *row = push(w, POLICY_CHANGED, next);
        row->field = field_word[f];
        row->from = from;
        row->to = to;
    }
}

enum err policy_diff_make(const struct policy_mesh *old, const struct policy_mesh *next,
                          struct policy_diff *out)
{
    struct writer w = {.out = out};
    *out = (struct policy_diff){.count = 0};
    arena_init(&out->arena, 16384, ARENA_BYTES_MAX);
    size_t most = old->rule_count + next->rule_count * FIELDS;
    out->row = arena_array(&out->arena, most, sizeof *out->row);
    if (out->row == NULL) return ERR_NOMEM;
    strbuf_init(&w.text, TEXT_BYTES_MAX);
    for (size_t i = 0; i < next->rule_count; i++) {
        const struct policy_rule *before = rule_named(old, next->rule[i].name);
        if (before != NULL) {
            compare(&w, before, &next->rule[i]);
            continue;
        }
        add_rule(&w.text, &next->rule[i]);
        push(&w, POLICY_ADDED, &next->rule[i])->to = kept(&w);
    }
    for (size_t i = 0; i < old->rule_count; i++) {
        if (rule_named(next, old->rule[i].name) != NULL) continue;
        add_rule(&w.text, &old->rule[i]);
        push(&w, POLICY_REMOVED, &old->rule[i])->from = kept(&w);
    }
    strbuf_fini(&w.text);
    return w.nomem ? ERR_NOMEM : ERR_OK;
}

void policy_diff_fini(struct policy_diff *d)
{
    arena_fini(&d->arena);
}

void policy_diff_print(const struct policy_diff *d, FILE *out)
{
    static const char mark[] = {
        [POLICY_ADDED] = '+', [POLICY_CHANGED] = '~', [POLICY_REMOVED] = '-'};
    int width = 0;
    for (size_t i = 0; i < d->count; i++)
        if ((int)strlen(d->row[i].rule) > width) width = (int)strlen(d->row[i].rule);
    for (size_t i = 0; i < d->count; i++) {
        const struct policy_diff_row *r = &d->row[i];
        fprintf(out, "%c rule.%-*s  ", mark[r->kind], width, r->rule);
        if (r->kind == POLICY_CHANGED)
            fprintf(out, "%s  %s -> %s", r->field, r->from, r->to);
        else
            fputs(r->kind == POLICY_ADDED ? r->to : r->from, out);
        fprintf(out, "    %s:%u\n", r->file, r->line);
    }
}

void policy_diff_json(const struct policy_diff *d, struct json *j)
{
    static const char *const word[] = {
        [POLICY_ADDED] = "add", [POLICY_CHANGED] = "change", [POLICY_REMOVED] = "remove"};
    json_array(j);
    for (size_t i = 0; i < d->count; i++) {
        const struct policy_diff_row *r = &d->row[i];
        json_object(j);
        json_member_cstr(j, "change", word[r->kind]);
        json_member_cstr(j, "rule", r->rule);
        json_member_cstr(j, "field", r->field);
        json_member_cstr(j, "from", r->from);
        json_member_cstr(j, "to", r->to);
        json_member_cstr(j, "file", r->file);
        json_member_u64(j, "line", r->line);
        json_object_end(j);
    }
    json_array_end(j);
}
