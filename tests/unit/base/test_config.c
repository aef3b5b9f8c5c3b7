#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"

struct sample {
    char *text;
    int64_t number, size, duration;
    bool flag;
    struct config_list list;
    int choice;
};

#define AT(name) offsetof(struct sample, name)
static const struct config_row rows[] = {
    {"text", CONFIG_TEXT, AT(text), "a default", 1, 20, NULL, "", "A text with a \\.", 1},
    {"number", CONFIG_NUMBER, AT(number), "5", 1, 10, NULL, "things", ".Starts with a dot.", 1},
    {"size", CONFIG_SIZE, AT(size), "1k", 0, 1048576, NULL, "bytes", "A size.", 1},
    {"duration", CONFIG_DURATION, AT(duration), "90", 1, 1209600, NULL, "", "A time.", 2},
    {"flag", CONFIG_FLAG, AT(flag), "no", 0, 0, NULL, "", "A flag.", 2},
    {"list", CONFIG_LIST, AT(list), "", 0, 3, NULL, "words", "A list.", 3},
    {"choice", CONFIG_CHOICE, AT(choice), "soft", 0, 0, "hard soft", "", "A choice.", 3},
};

/* What is loaded, as config_print shows it; or the error. The caller frees. */
static char *load(struct span text, size_t why_max)
{
    struct sample s;
    struct buf why;
    char *out = NULL;
    size_t len = 0;
    buf_init(&why, why_max);
    enum err e = config_parse(text, "f", rows, COUNT(rows), &s, NULL, &why);
    FILE *f = open_memstream(&out, &len);
    assert_non_null(f);
    if (e == ERR_OK)
        config_print(f, rows, COUNT(rows), &s, 3);
    else
        (void)fputs(buf_cstr(&why), f);
    (void)fclose(f);
    config_free(rows, COUNT(rows), &s);
    buf_free(&why);
    return out;
}

#define TEXT "text = a default\n"
#define NUMBER "number = 5\n"
#define SIZE "size = 1k\n"
#define DURATION "duration = 90s\n"
#define FLAG "flag = no\n"
#define LIST "list = \n"
#define CHOICE "choice = soft\n"

static void a_file_gives_values_or_an_error_with_its_line(void **state)
{
    static const struct {
        const char *name, *in, *want;
    } table[] = {
        {"nothing", "", TEXT NUMBER SIZE DURATION FLAG LIST CHOICE},
        {"only_comments", "# a\n\n  # b\n   \t\n#", TEXT NUMBER SIZE DURATION FLAG LIST CHOICE},
        {"everything", "text= x = y\nnumber =10\nsize=1M\nduration\t=\t2w\nflag=yes\nlist=a,b c\nchoice=hard",
         "text = x = y\nnumber = 10\nsize = 1m\nduration = 2w\nflag = yes\nlist = a, b, c\nchoice = hard\n"},
        {"continuation", "list = a,\n  b,\n# between\n\n\tc\n",
         TEXT NUMBER SIZE DURATION FLAG "list = a, b, c\n" CHOICE},
        {"name_and_value_on_two_lines", "text =\n  x\n  y\n",
         "text = x y\n" NUMBER SIZE DURATION FLAG LIST CHOICE},
        {"hash_inside_a_value", "text = a # b\n", "text = a # b\n" NUMBER SIZE DURATION FLAG LIST CHOICE},
        {"utf8",
         "text = b\xc3\xbc"
         "cher\n",
         "text = b\xc3\xbc"
         "cher\n" NUMBER SIZE DURATION FLAG LIST CHOICE},
        {"list_of_separators", "list = , ,\t,\n", TEXT NUMBER SIZE DURATION FLAG LIST CHOICE},
        {"capital_suffix", "duration = 1H\n", TEXT NUMBER SIZE "duration = 1h\n" FLAG LIST CHOICE},
        {"zero", "size = 0\n", TEXT NUMBER "size = 0\n" DURATION FLAG LIST CHOICE},

        {"unknown", "\n\nnumbre = 5\n", "f:3: unknown parameter \"numbre\""},
        {"case_matters", "Number = 5\n", "f:1: unknown parameter \"Number\""},
        {"no_name", "= 5\n", "f:1: unknown parameter \"\""},
        {"no_equals", "number 5\n", "f:1: \"number 5\": expected name = value"},
        {"twice", "number = 5\n#\nnumber = 5\n", "f:3: number was given already in line 1"},
        {"blank_first", "  number = 5\n",
         "f:1: the line begins with a blank, but there is no parameter before it to go "
         "on with"},
        {"expansion", "text = $number\n", "f:1: text: '$' in the value: this file expands nothing"},
        {"line_of_the_parameter_not_of_its_end", "number = 1\n 2\n\n",
         "f:1: number: \"1 2\" is not a whole number"},
        {"below", "number = 0\n", "f:1: number: 0 is out of range: 1 to 10"},
        {"above", "number = 11\n", "f:1: number: 11 is out of range: 1 to 10"},
        {"negative", "number = -1\n", "f:1: number: \"-1\" is not a whole number"},
        {"number_with_suffix", "number = 1k\n", "f:1: number: \"1k\" is not a whole number"},
        {"empty_number", "number =\n", "f:1: number: \"\" is not a whole number"},
        {"huge", "number = 99999999999999999999\n",
         "f:1: number: \"99999999999999999999\" is not a whole number"},
        {"size_above", "size = 2m\n", "f:1: size: 2m is out of range: 0 to 1m"},
        {"size_overflow", "size = 9223372036854775807g\n",
         "f:1: size: \"9223372036854775807g\" is not a size (a number of bytes, or with k, m or g)"},
        {"size_suffix_alone", "size = k\n",
         "f:1: size: \"k\" is not a size (a number of bytes, or with k, m or g)"},
        {"size_in_days", "size = 1d\n",
         "f:1: size: \"1d\" is not a size (a number of bytes, or with k, m or g)"},
        {"duration_above", "duration = 3w\n", "f:1: duration: 3w is out of range: 1s to 2w"},
        {"duration_of_words", "duration = 1h30m\n",
         "f:1: duration: \"1h30m\" is not a time (a number of seconds, or with s, m, h, d or w)"},
        {"flag_of_another_kind", "flag = true\n", "f:1: flag: \"true\" is not yes or no"},
        {"list_too_long", "list = 1 2 3 4\n", "f:1: list: 4 items is out of range: 0 to 3"},
        {"choice_unknown", "choice = medium\n", "f:1: choice: \"medium\" is none of: hard soft"},
        {"choice_of_part", "choice = har\n", "f:1: choice: \"har\" is none of: hard soft"},
        {"text_empty", "text =\n", "f:1: text must not be empty"},
        {"text_too_long", "text = 123456789012345678901\n", "f:1: text: 21 bytes is out of range: 1 to 20"},
        {"windows", "number = 5\r\n", "f:1: carriage return in the line: the file needs plain line ends"},
        {"escape", "# \x1b[2J\n", "f:1: control character \\x1b in the line"},
        {"delete", "number = 5\n\x7f\n", "f:2: control character \\x7f in the line"},
        {"latin1", "text = caf\xe9\n", "f:1: the line is not valid UTF-8"},
        {"hostile_value_is_shown_escaped", "flag = \xc3\xa9\\\n",
         "f:1: flag: \"\\xc3\\xa9\\\\\" is not yes or no"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        char *got = load(span_of(table[i].in), CONFIG_WHY_MAX);
        if (strcmp(got, table[i].want) != 0)
            fail_msg("%s: got \"%s\"", table[i].name, got);
        free(got);
    }
}

static void nul_is_a_control_character(void **state)
{
    (void)state;
    char *got = load(SPAN_LITERAL("number = 5\0\n"), CONFIG_WHY_MAX);
    assert_string_equal(got, "f:1: control character \\x00 in the line");
    free(got);
}

static void what_is_printed_reads_back_the_same(void **state)
{
    (void)state;
    char *once =
        load(SPAN_LITERAL("text = x\nsize = 1500\nduration = 5400\nlist = b a\nchoice = hard\n"), 100);
    char *again = load(span_of(once), 100);
    assert_string_equal(once, again);
    assert_non_null(strstr(once, "size = 1500\nduration = 90m\n"));
    free(once);
    free(again);
}

static void a_message_is_cut_to_the_room_it_has(void **state)
{
    (void)state;
    char *got = load(SPAN_LITERAL("numbre = 5\n"), 20);
    assert_string_equal(got, "f:1: unknown paramet");
    free(got);
}

static void lines_are_told_for_what_was_given(void **state)
{
    unsigned lines[COUNT(rows)];
    struct sample s;
    struct buf why;
    (void)state;
    buf_init(&why, CONFIG_WHY_MAX);
    assert_int_equal(config_parse(SPAN_LITERAL("#\nnumber = 7\n"), "f", rows, COUNT(rows), &s, lines, &why),
                     ERR_OK);
    assert_int_equal(lines[0], 0);
    assert_int_equal(lines[1], 2);
    assert_int_equal(s.number, 7);
    config_free(rows, COUNT(rows), &s);
    config_free(rows, COUNT(rows), &s); /* nothing left: harmless */
    buf_free(&why);
}

static void files_are_read_or_the_reason_is_told(void **state)
{
    char path[] = "/tmp/config.XXXXXX", want[100];
    struct sample s;
    struct buf why;
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    buf_init(&why, CONFIG_WHY_MAX);
    assert_int_equal(write(fd, "number = 3", 10), 10);
    assert_int_equal(config_load(path, rows, COUNT(rows), &s, NULL, &why), ERR_OK);
    assert_int_equal(s.number, 3);
    config_free(rows, COUNT(rows), &s);

    assert_int_equal(ftruncate(fd, CONFIG_FILE_MAX + 1), 0);
    assert_int_equal(config_load(path, rows, COUNT(rows), &s, NULL, &why), ERR_CONFIG);
    (void)snprintf(want, sizeof want, "%s:1: the file is too large", path);
    assert_string_equal(buf_cstr(&why), want);
    config_free(rows, COUNT(rows), &s);
    assert_int_equal(ftruncate(fd, 2 * CONFIG_FILE_MAX), 0);
    assert_int_equal(config_load(path, rows, COUNT(rows), &s, NULL, &why), ERR_CONFIG);
    assert_string_equal(buf_cstr(&why), want);
    config_free(rows, COUNT(rows), &s);
    (void)close(fd);
    (void)unlink(path);

    assert_int_equal(config_load(path, rows, COUNT(rows), &s, NULL, &why), ERR_IO);
    (void)snprintf(want, sizeof want, "%s:0: No such file or directory", path);
    assert_string_equal(buf_cstr(&why), want);
    config_free(rows, COUNT(rows), &s);
    assert_int_equal(config_load("/", rows, COUNT(rows), &s, NULL, &why), ERR_IO);
    assert_string_equal(buf_cstr(&why), "/:0: Is a directory");
    config_free(rows, COUNT(rows), &s);
    assert_int_equal(config_load(NULL, rows, COUNT(rows), &s, NULL, &why), ERR_OK);
    assert_string_equal(s.text, "a default");
    config_free(rows, COUNT(rows), &s);
    buf_free(&why);
}

static void the_manual_page_shows_every_row(void **state)
{
    char *out = NULL;
    size_t len = 0;
    (void)state;
    FILE *f = open_memstream(&out, &len);
    config_print_mdoc(f, rows, COUNT(rows), 1);
    config_print_mdoc(f, rows + 3, 4, 2);
    (void)fclose(f);
    assert_string_equal(out, ".Bl -tag -width Ds\n"
                             ".It Ic text Pq \"default: a default\"\nA text with a \\e.\n"
                             ".It Ic number Pq \"default: 5\"\n\\&.Starts with a dot.\nFrom 1 to 10 things.\n"
                             ".It Ic size Pq \"default: 1k\"\nA size.\nFrom 0 to 1m bytes.\n"
                             ".It Ic list Pq \"default: empty\"\nA list.\nA list of words.\n"
                             ".It Ic choice Pq \"default: soft\"\nA choice.\nOne of: hard soft.\n"
                             ".El\n"
                             ".Bl -tag -width Ds\n"
                             ".It Ic duration Pq \"default: 90\"\nA time.\nFrom 1s to 2w.\n"
                             ".It Ic flag Pq \"default: no\"\nA flag.\nyes or no.\n"
                             ".It Ic list Pq \"default: empty\"\nA list.\nA list of words.\n"
                             ".It Ic choice Pq \"default: soft\"\nA choice.\nOne of: hard soft.\n"
                             ".El\n");
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_gives_values_or_an_error_with_its_line),
        cmocka_unit_test(nul_is_a_control_character),
        cmocka_unit_test(what_is_printed_reads_back_the_same),
        cmocka_unit_test(a_message_is_cut_to_the_room_it_has),
        cmocka_unit_test(lines_are_told_for_what_was_given),
        cmocka_unit_test(files_are_read_or_the_reason_is_told),
        cmocka_unit_test(the_manual_page_shows_every_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
