/* unpack: reads one layer's tar and writes its tree (treewriter). */
#ifndef REPX_IMAGE_UNPACK_H
#define REPX_IMAGE_UNPACK_H

struct error;
struct layerstream;
struct treewriter;

/* All entries of the tar. What stands behind the end of the tar is left for
 * layerstream_finish. An error names the entry; what was written is the caller's to
 * remove. */
int unpack(struct layerstream *ls, struct treewriter *w, struct error *err);

#endif
