/*
 * remark.h - which steps of tickets and jobs the checker has taken, over all states that it has seen: written
 * to the file that MODEL_STEPS names when it ends, as lines `ticket FROM TO` and `job FROM TO`.
 */
#include <stdio.h>
#include <stdlib.h>

static unsigned char remark_taken[2][32][32];

static void remark_print(void)
{
    static const char *const kind[2] = {"ticket", "job"};
    const char *name = getenv("MODEL_STEPS");
    FILE *f = name == NULL ? NULL : fopen(name, "w");

    for (int k = 0; k < 2 && f != NULL; k++)
        for (int from = 0; from < 32; from++)
            for (int to = 0; to < 32; to++)
                if (remark_taken[k][from][to])
                    fprintf(f, "%s %d %d\n", kind[k], from, to);
    if (f != NULL)
        fclose(f);
}

static void remark_step(int kind, unsigned char from, unsigned char to)
{
    static int registered;

    if (!registered)
        registered = atexit(remark_print) == 0;
    remark_taken[kind][from & 31][to & 31] = 1;
}
