/* multiprog: the text of an `srun --multi-prog` file with a program put in front of
 * every command. Pure. */
#ifndef REPX_SPANK_MULTIPROG_H
#define REPX_SPANK_MULTIPROG_H

struct buf;
struct error;

/* Appends to out the text in which each line's command is "program command". program is
 * absolute. Comments, empty lines and continued lines stay as they are, and so does a
 * line without a command, which slurmstepd complains about itself (the grammar is that
 * of slurmstepd's multi_prog.c). -1: program has characters that the file cannot hold.
 */
int multiprog_prefix(const char *text, const char *program, struct buf *out,
                     struct error *err);

#endif
