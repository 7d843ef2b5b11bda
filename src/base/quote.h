/* quote: text for people. Untrusted bytes made printable, and commands that can be
 * pasted into a shell. */
#ifndef REPX_BASE_QUOTE_H
#define REPX_BASE_QUOTE_H

struct buf;

/* Appends s with control characters, invalid UTF-8 and backslashes as \n, \t, \xHH, so
 * that a name from a file cannot drive the terminal or fake a line. */
void quote_printable(struct buf *b, const char *s);

/* Appends s as one POSIX shell word, bare when it needs no quotes. */
void quote_shell(struct buf *b, const char *s);

/* Appends argv as one shell command line. */
void quote_shell_argv(struct buf *b, char *const *argv);

#endif
