/* markers: SUCCESS and FAIL, the completion log, and what they say about a job. */
#ifndef REPX_OUTCOME_MARKERS_H
#define REPX_OUTCOME_MARKERS_H

#include <stdbool.h>

struct error;

enum marker_state { MARKER_NONE, MARKER_SUCCESS, MARKER_FAIL };

/* Removes both markers; before a run. */
int markers_clear(int repx_dirfd, struct error *err);
/* Writes the one and removes the other. */
int markers_write(int repx_dirfd, bool success, struct error *err);
/* SUCCESS counts only when the marker is there (a completion log alone is not believed:
 * FACTS-REPX B6). */
enum marker_state markers_read(int repx_dirfd);
enum marker_state markers_of_dir(const char *repx_dir);
enum marker_state markers_of_job(const char *base, const char *job);
/* Of one of many: <base>/outputs is open. -1: it is not there. */
enum marker_state markers_of_job_at(int outputs_dirfd, const char *job);

/* Appends {"id":..,"s":"ok"|"fail"} to <base>/outputs/completions.jsonl. */
int completions_append(const char *base, const char *job, bool success,
                       struct error *err);

#endif
