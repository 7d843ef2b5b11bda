/* pack: an image directory as one archive file, so that it can be copied as a whole.
 * Only what this image needs is in it; links of the directory are followed, as
 * source_dir_init allows.
 */
#ifndef REPX_IMAGE_PACK_H
#define REPX_IMAGE_PACK_H

struct error;
struct image;

/* Writes an archive of an IMAGE_DOCKER_DIR or IMAGE_OCI_DIR to fd; opening it gives the
 * same image. The layers' digests are checked by who extracts it. */
int image_pack(const struct image *img, int fd, struct error *err);

#endif
