/*
 * restante.conf: whatever a file holds, it is read or refused with a line; what was read is printed, and that
 * reads back the same.
 *
 * covers: common/base/config.c
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "settings/settings.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The printed form of a text, or NULL if it is refused; the caller frees. */
static char *printed(struct span text)
{
    struct settings s;
    struct buf why;
    char *out = NULL;
    size_t len = 0;
    buf_init(&why, CONFIG_WHY_MAX);
    enum err e = config_parse(text, "fuzz", settings_rows, settings_row_count, &s, NULL, &why);
    if (e == ERR_OK) {
        FILE *f = open_memstream(&out, &len);
        config_print(f, settings_rows, settings_row_count, &s, ~0U);
        (void)fclose(f);
    } else if (strncmp(buf_cstr(&why), "fuzz:", 5) != 0) {
        abort();
    }
    config_free(settings_rows, settings_row_count, &s);
    buf_free(&why);
    return out;
}

/* The rest of the file, once: a manual page, files that are there and not. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const char *const paths[] = {"/dev/null", "/nonexistent", "/dev/zero"};
    (void)argc;
    (void)argv;
    FILE *null = fopen("/dev/null", "w");
    if (null == NULL)
        abort();
    config_print_mdoc(null, settings_rows, settings_row_count, ~0U);
    (void)fclose(null);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct settings s;
        struct buf why;
        buf_init(&why, CONFIG_WHY_MAX);
        enum err e = config_load(paths[i], settings_rows, settings_row_count, &s, NULL, &why);
        if ((e == ERR_OK) != (i == 0))
            abort();
        config_free(settings_rows, settings_row_count, &s);
        buf_free(&why);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *once = printed(span_bytes(data, size));
    if (once == NULL)
        return 0;
    char *again = printed(span_of(once));
    if (again == NULL || strcmp(once, again) != 0)
        abort();
    free(once);
    free(again);
    return 0;
}
