/* linktar: a tar archive of symbolic links alone, the same bytes for the same links. */
#ifndef REPX_IMAGE_LINKTAR_H
#define REPX_IMAGE_LINKTAR_H

struct buf;
struct error;
struct strv;

/* names[i] -> targets[i]; appended to out. Owner root, time 0. Without links the
 * archive has one empty directory, because an archive of nothing is refused by some. */
int linktar_write(const struct strv *names, const struct strv *targets, struct buf *out,
                  struct error *err);

#endif
