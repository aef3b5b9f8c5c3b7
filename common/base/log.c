#include "base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#define LINE_MAX_BYTES 4000 /* of text; with what stands before it a line stays below PIPE_BUF */

static struct {
    const char *program;
    bool journal;
    atomic_int level;
} the = {.program = "restante", .level = LOG_LEVEL_INFO};

static const struct {
    const char *word;
    int priority; /* as in syslog(3); journald reads it from "<N>" at the start of a line: sd-daemon(3) */
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error: ", 3},
    [LOG_LEVEL_WARNING] = {"warning: ", 4},
    [LOG_LEVEL_INFO] = {"", 6},
    [LOG_LEVEL_DEBUG] = {"debug: ", 7},
};

static const char *const key_words[LOG_KEY_COUNT] = {
#define LOG_WORD(name, text) [LOG_KEY_##name] = (text),
    LOG_KEYS(LOG_WORD)
#undef LOG_WORD
};

/* JOURNAL_STREAM is "device:inode" of the stream that systemd made; stderr may have been redirected since. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat st;
    if (stream == NULL || fstat(STDERR_FILENO, &st) != 0)
        return false;
    char is[64];
    (void)snprintf(is, sizeof is, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    return strcmp(is, stream) == 0;
}

void log_open(const char *program, enum log_level level)
{
    the.program = program;
    the.journal = stderr_is_journal();
    log_set_level(level);
}

void log_set_level(enum log_level level)
{
    atomic_store(&the.level, (int)level);
}

static bool wanted(enum log_level level)
{
    return (int)level <= atomic_load(&the.level);
}

/* Appends, cutting with "..." what does not fit; from then on nothing fits. */
static void put(struct buf *b, const char *data, size_t len)
{
    if (len <= b->max - b->len - 3 || b->max == b->len) {
        if (b->max > b->len)
            (void)buf_append(b, data, len);
        return;
    }
    (void)buf_append(b, data, b->max - b->len - 3);
    (void)buf_append(b, "...", 3);
    b->max = b->len;
}

static void put_str(struct buf *b, const char *s)
{
    put(b, s, strlen(s));
}

/* As encode_printable, and every character of `also` escaped too. */
static void put_escaped(struct buf *b, const char *s, const char *also)
{
    while (*s != '\0') {
        size_t run = 0;
        while (s[run] >= ' ' && s[run] <= '~' && s[run] != '\\' && strchr(also, s[run]) == NULL)
            run++;
        if (run > 0) {
            put(b, s, run);
            s += run;
        } else {
            char escape[8];
            unsigned char c = (unsigned char)*s++;
            (void)snprintf(escape, sizeof escape, c == '\\' ? "\\\\" : "\\x%02x", c);
            put_str(b, escape);
        }
    }
}

static void emit(enum log_level level, const char *text)
{
    int saved = errno;
    char line[LINE_MAX_BYTES + 128];
    int len;
    if (the.journal) {
        len = snprintf(line, sizeof line, "<%d>%s%s\n", levels[level].priority, levels[level].word, text);
    } else {
        char when[CLOCK_ISO_MAX];
        int64_t now = clock_now_ms();
        clock_iso(now / 1000, when);
        len = snprintf(line, sizeof line, "%.19s.%03dZ %s: %s%s\n", when, (int)(now % 1000), the.program,
                       levels[level].word, text);
    }
    if (len >= (int)sizeof line) { /* only with a program name of 100 characters */
        len = (int)sizeof line;
        line[len - 1] = '\n';
    }
    for (int done = 0; done < len;) {
        ssize_t n = write(STDERR_FILENO, line + done, (size_t)(len - done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) /* nobody to tell */
            break;
        done += (int)n;
    }
    errno = saved;
}

static void vlog(enum log_level level, const char *format, va_list ap) __attribute__((format(printf, 2, 0)));
static void vlog(enum log_level level, const char *format, va_list ap)
{
    if (!wanted(level))
        return;
    char raw[LINE_MAX_BYTES + 1];
    (void)vsnprintf(raw, sizeof raw, format, ap);
    struct buf text;
    buf_init(&text, LINE_MAX_BYTES);
    put_escaped(&text, raw, "");
    emit(level, buf_cstr(&text));
    buf_free(&text);
}

#define LOG_FUNCTION(name, level)                                                                            \
    void name(const char *format, ...)                                                                       \
    {                                                                                                        \
        va_list ap;                                                                                          \
        va_start(ap, format);                                                                                \
        vlog(level, format, ap);                                                                             \
        va_end(ap);                                                                                          \
    }
LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warning, LOG_LEVEL_WARNING)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)

void log_line_begin(struct log_line *line, const char *queue_id)
{
    buf_init(&line->text, LINE_MAX_BYTES);
    put_escaped(&line->text, queue_id == NULL || queue_id[0] == '\0' ? "-" : queue_id, " :");
    put_str(&line->text, ":");
}

static void put_key(struct log_line *line, enum log_key key)
{
    put_str(&line->text, " ");
    put_str(&line->text, key_words[key]);
    put_str(&line->text, "=");
}

void log_line_str(struct log_line *line, enum log_key key, const char *value)
{
    put_key(line, key);
    if (value[0] != '\0' && strpbrk(value, " \"") == NULL) {
        put_escaped(&line->text, value, "");
        return;
    }
    put_str(&line->text, "\"");
    put_escaped(&line->text, value, "\"");
    put_str(&line->text, "\"");
}

void log_line_addr(struct log_line *line, enum log_key key, const char *address)
{
    put_key(line, key);
    put_str(&line->text, "<");
    put_escaped(&line->text, address, "<> ");
    put_str(&line->text, ">");
}

void log_line_num(struct log_line *line, enum log_key key, int64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%jd", (intmax_t)value);
    put_key(line, key);
    put_str(&line->text, text);
}

void log_line_delay(struct log_line *line, int64_t delay_ms)
{
    char text[32];
    int64_t ms = delay_ms < 0 ? 0 : delay_ms; /* the wall clock may have been set back */
    (void)snprintf(text, sizeof text, "%jd.%d", (intmax_t)(ms / 1000), (int)(ms % 1000 / 100));
    put_key(line, LOG_KEY_DELAY);
    put_str(&line->text, text);
}

void log_line_status(struct log_line *line, const char *status, const char *detail)
{
    put_key(line, LOG_KEY_STATUS);
    put_escaped(&line->text, status, " ");
    if (detail == NULL || detail[0] == '\0')
        return;
    put_str(&line->text, " (");
    put_escaped(&line->text, detail, "");
    put_str(&line->text, ")");
}

void log_line_end(struct log_line *line, enum log_level level)
{
    if (wanted(level))
        emit(level, buf_cstr(&line->text));
    buf_free(&line->text);
}
