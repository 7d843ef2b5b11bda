/* An image inside a tar archive. Members are found by walking the headers once; in a
 * plain tar the walk seeks over the data, and a member is read from where its headers
 * begin. */
#include <archive_entry.h>
#include <limits.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "image/archive_walker.h"
#include "image/source.h"
#include "image/tarstream.h"

#define MEMBERS_MAX ((size_t)100000)
#define CAPTURE_ONE_MAX ((uint64_t)1024 * 1024)
#define CAPTURE_ALL_MAX ((size_t)32 * 1024 * 1024)
#define LINK_HOPS_MAX 8

struct source_member {
    char *name;
    char *link; /* of a link inside the archive: the other member's name; else NULL */
    uint64_t size;
    bool compressed;
    char *text;        /* of a small JSON file, else NULL */
    uint64_t position; /* of its headers */
};

/* Directories that a file system tree has at its top and no image archive. With one of
 * them the search for manifest.json, which may come last, can end. */
static bool is_rootfs_top(const char *name)
{
    static const char *const tops[] = {
        "bin", "boot", "dev",  "etc", "home", "lib", "lib64", "media", "mnt", "nix",
        "opt", "proc", "root", "run", "sbin", "srv", "sys",   "tmp",   "usr", "var"};
    size_t n = strcspn(name, "/"), i;

    for (i = 0; i < array_size(tops); i++)
        if (strlen(tops[i]) == n && memcmp(tops[i], name, n) == 0)
            return true;
    return false;
}

static struct source_member *add_member(struct source *s, const char *name,
                                        struct error *err)
{
    struct source_member *m;

    if (s->n_members == s->cap_members) {
        size_t cap = s->cap_members ? 2 * s->cap_members : 64;

        m = realloc(s->members, cap * sizeof(*m));
        if (!m) {
            error_oom(err);
            return NULL;
        }
        s->members = m;
        s->cap_members = cap;
    }
    m = &s->members[s->n_members];
    memset(m, 0, sizeof(*m));
    m->name = strdup(name);
    if (!m->name) {
        error_oom(err);
        return NULL;
    }
    s->n_members++;
    return m;
}

/* The directory that a path is in; "" for one at the top. */
static void cut_last(struct buf *path)
{
    const char *slash = memrchr(path->data, '/', path->len);

    path->len = slash ? (size_t)(slash - path->data) : 0;
    path->data[path->len] = '\0';
}

/* docker save writes a repeated layer as a link: symbolic ones are relative to the
 * member's directory, hard ones to the archive. One that leads out of the archive has
 * the target "", which no member is called: others than layers may (packed labs,
 * trees).
 */
static char *link_target(const char *name, const char *link, bool symbolic,
                         struct error *err)
{
    _cleanup_buf_ struct buf path = BUF_INIT;
    const char *slash = symbolic && link[0] != '/' ? strrchr(name, '/') : NULL;

    if (slash)
        buf_add(&path, name, (size_t)(slash - name));
    for (size_t n; *link; link += n + strspn(link + n, "/")) {
        n = strcspn(link, "/");
        if (n == 2 && memcmp(link, "..", 2) == 0) {
            if (path.len == 0)
                break;
            cut_last(&path);
        } else if (n > 0 && !(n == 1 && link[0] == '.')) {
            buf_adds(&path, path.len ? "/" : "");
            buf_add(&path, link, n);
        }
    }
    if (*link)
        buf_reset(&path);
    return buf_check(&path, err) < 0 ? NULL : strdup(buf_str(&path));
}

static int capture(struct source *s, struct source_member *m, struct walker *w,
                   struct error *err)
{
    char magic[TARSTREAM_MAGIC_LEN] = {0};
    ssize_t n = walker_data(w, magic, sizeof(magic), err);
    _cleanup_free_ char *text = NULL;
    size_t have;

    if (n < 0)
        return error_context(err, "\"%s\" in the archive", m->name);
    m->compressed = tarstream_is_compressed(magic, (size_t)n);
    if (strchr(m->name, '/') && strncmp(m->name, "blobs/", 6) != 0)
        return 0;
    if ((magic[0] != '{' && magic[0] != '[') || m->size > CAPTURE_ONE_MAX ||
        m->size + s->captured > CAPTURE_ALL_MAX)
        return 0;
    text = malloc(m->size + 1);
    if (!text)
        return error_oom(err);
    have = (size_t)n;
    memcpy(text, magic, have);
    while (have < m->size) {
        n = walker_data(w, text + have, m->size - have, err);
        if (n < 0)
            return error_context(err, "\"%s\" in the archive", m->name);
        if (n == 0)
            return error_fail(err, "\"%s\" in the archive is cut short", m->name);
        have += (size_t)n;
    }
    text[have] = '\0';
    m->text = steal_ptr(text);
    s->captured += have;
    return 0;
}

static int index_entry(struct source *s, struct walker *w, struct archive_entry *entry,
                       const char *name, bool content, struct error *err)
{
    const char *hard = archive_entry_hardlink(entry);
    const char *sym = archive_entry_symlink(entry);
    struct source_member *m;

    if (!hard && !sym && archive_entry_filetype(entry) != AE_IFREG)
        return 0;
    if (hard || sym) {
        _cleanup_free_ char *target = link_target(name, hard ? hard : sym, !hard, err);

        if (!target)
            return -1;
        /* GNU tar writes a file that was named twice as a link to itself */
        if (hard && strcmp(target, name) == 0)
            return 0;
        m = add_member(s, name, err);
        if (m)
            m->link = steal_ptr(target);
        return m ? 0 : -1;
    }
    m = add_member(s, name, err);
    if (!m)
        return -1;
    m->position = walker_position(w);
    m->size = (uint64_t)archive_entry_size(entry);
    return m->size == 0 || !content ? 0 : capture(s, m, w, err);
}

/* content: also look into the members. */
static int walk(struct source *s, bool content, struct error *err)
{
    _cleanup_(walker_free) struct walker *w = walker_new(s->fd, 0, err);
    struct archive_entry *entry;
    char name[PATH_MAX];
    int rc;

    if (!w)
        return -1;
    while ((rc = walker_next(w, &entry, name, err)) == 0) {
        if (is_rootfs_top(name) || s->n_members >= MEMBERS_MAX) {
            s->rootfs = true;
            return 0;
        }
        if (name[0] && index_entry(s, w, entry, name, content, err) < 0)
            return -1;
    }
    s->indexed = rc == 1;
    s->plain = walker_is_plain(w);
    return rc < 0 ? -1 : 0;
}

int source_archive_index(struct source *s, struct error *err)
{
    return walk(s, true, err);
}

/* The last member of a name counts, as in tar. NULL: there is none, or *hops, counted
 * down, came to 0. */
static struct source_member *find_through_links(struct source *s, const char *name,
                                                int *hops)
{
    for (*hops = LINK_HOPS_MAX; *hops > 0; --*hops) {
        struct source_member *found = NULL;
        size_t i;

        for (i = s->n_members; i > 0 && !found; i--)
            if (strcmp(s->members[i - 1].name, name) == 0)
                found = &s->members[i - 1];
        if (!found || !found->link)
            return found;
        name = found->link;
    }
    return NULL;
}

static struct source_member *find_member(struct source *s, const char *name)
{
    int hops;

    return find_through_links(s, name, &hops);
}

struct member_blob {
    struct blob blob;
    struct walker *w;
};

static ssize_t member_read(struct blob *b, void *data, size_t cap, struct error *err)
{
    return walker_data(((struct member_blob *)b)->w, data, cap, err);
}

static void member_free(struct blob *b)
{
    struct member_blob *m = (struct member_blob *)b;

    walker_free(&m->w);
    free(m);
}

/* A walker that stands at the member's data. NULL with err. */
static struct walker *walk_to(struct source *s, const struct source_member *m,
                              struct error *err)
{
    _cleanup_(walker_free) struct walker *w =
        walker_new(s->fd, s->plain ? m->position : 0, err);
    struct archive_entry *entry;
    char name[PATH_MAX];
    int rc = 0;

    while (w && (rc = walker_next(w, &entry, name, err)) == 0 &&
           walker_position(w) < m->position)
        ;
    if (!w || rc < 0)
        return NULL;
    if (rc == 1 || walker_position(w) != m->position || strcmp(name, m->name) != 0) {
        error_fail(err, "the archive was changed while it was read");
        return NULL;
    }
    return steal_ptr(w);
}

static int archive_open(struct source *s, const char *name, struct blob **out,
                        struct error *err)
{
    const struct source_member *found;
    struct member_blob *m;
    int hops;

    if (!s->indexed && walk(s, false, err) < 0)
        return -1;
    found = find_through_links(s, name, &hops);
    if (!found && hops == 0)
        return error_fail(err, "too many links to \"%s\" in the archive", name);
    if (!found)
        return 1;
    m = malloc(sizeof(*m));
    if (!m)
        return error_oom(err);
    m->blob.read = member_read;
    m->blob.free = member_free;
    m->w = walk_to(s, found, err);
    if (!m->w) {
        free(m);
        return -1;
    }
    *out = &m->blob;
    return 0;
}

static int archive_read_whole(struct source *s, const char *name, struct buf *out,
                              struct error *err)
{
    _cleanup_(blob_free) struct blob *blob = NULL;
    struct source_member *m = find_member(s, name);
    char data[16 * 1024];
    ssize_t n;
    int rc;

    if (m && m->text) {
        buf_add(out, m->text, m->size);
        return buf_check(out, err);
    }
    rc = m ? archive_open(s, m->name, &blob, err) : 1;
    if (rc != 0)
        return rc;
    while ((n = blob_read(blob, data, sizeof(data), err)) > 0) {
        if (out->len + (size_t)n > SOURCE_JSON_MAX)
            return error_fail(err, "\"%s\" is larger than %zu bytes", name,
                              SOURCE_JSON_MAX);
        buf_add(out, data, (size_t)n);
    }
    return n < 0 ? -1 : buf_check(out, err);
}

static int archive_stat(struct source *s, const char *name, struct source_stat *st,
                        struct error *err)
{
    struct source_member *m = find_member(s, name);

    if (!m)
        return 1;
    st->size = m->size;
    st->compressed = m->compressed;
    return 0;
}

static const struct source_ops archive_ops = {archive_read_whole, archive_stat,
                                              archive_open};

void source_archive_init(struct source *s, int fd)
{
    *s = (struct source)SOURCE_INIT;
    s->ops = &archive_ops;
    s->fd = fd;
}

void source_release(struct source *s)
{
    size_t i;

    for (i = 0; i < s->n_members; i++) {
        free(s->members[i].name);
        free(s->members[i].link);
        free(s->members[i].text);
    }
    free(s->members);
    *s = (struct source)SOURCE_INIT;
}
