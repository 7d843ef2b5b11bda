/* replay: runs a fuzz target over the files of a directory; at least one must be there.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *dir, const char *name)
{
    char path[4096];
    uint8_t *data;
    size_t size;
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "rb");
    data = malloc(1 << 22);
    if (!f || !data) {
        perror(path);
        exit(1);
    }
    size = fread(data, 1, 1 << 22, f);
    fclose(f);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 1;
}

int main(int argc, char **argv)
{
    struct dirent *entry;
    int files = 0;
    DIR *dir;

    if (argc != 2 || !(dir = opendir(argv[1]))) {
        fprintf(stderr, "usage: %s CORPUS_DIRECTORY\n", argv[0]);
        return 2;
    }
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            files += replay_file(argv[1], entry->d_name);
    closedir(dir);
    printf("%d inputs replayed\n", files);
    return files > 0 ? 0 : 1;
}
