/* make_conf_man.c - writes the list of all parameters for restante.conf(5), from the rows that the programs
 * read. */
#include <stdio.h>

#include "settings/settings.h"

int main(void)
{
    config_print_mdoc(stdout, settings_rows, settings_row_count, ~0U);
    return ferror(stdout) || fflush(stdout) != 0;
}
