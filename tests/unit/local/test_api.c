/* The local API's JSON: what is written is read back the same, and everything else is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "local/api.h"

/* The structs own their strings; the samples here are literals that nobody frees or changes. */
#pragma GCC diagnostic ignored "-Wwrite-strings"
#pragma GCC diagnostic ignored "-Wdiscarded-qualifiers"

#define RCPTS "\"recipients\":[{\"address\":\"bob@b.test\"}]"
#define ENVELOPE "\"envelope\":{\"sender\":\"alice@a.test\"," RCPTS "}"

static struct api_envelope envelope_sample(struct api_recipient *recipient, size_t count)
{
    return (struct api_envelope){
        .queue_id = "4bXyz",
        .domains = "a.test, c.test",
        .sender = "alice@a.test",
        .body = "8BITMIME",
        .ret = "HDRS",
        .envid = "QQ+3D",
        .smtputf8 = true,
        .client_address = "192.0.2.1",
        .client_name = "mua.a.test",
        .client_port = 4711,
        .helo = "[192.0.2.1]",
        .auth = "alice",
        .recipient_count = count,
        .recipient = recipient,
    };
}

static void a_plan_comes_back_as_it_went(void **state)
{
    struct api_recipient recipient[] = {
        {"b\xc3\xb6"
         "b@b.test",
         "FAILURE,DELAY", "rfc822;bob@b.test", "smtp"},
        {"\"q \\\" x\"@c.test", NULL, NULL, NULL},
    };
    struct api_field field[] = {
        {"From", "=?utf-8?q?x?= <a@a.test>\r\n\t(folded)"},
        {"Message-ID", ""},
        {"From", "\x01\xff\xfe 8-bit"},
    };
    struct api_plan p = {.envelope = envelope_sample(recipient, 2),
                         .field_count = 3,
                         .field = field,
                         .header_bytes = 1234567890123};
    struct api_plan q;
    struct buf json;
    (void)state;

    buf_init(&json, API_HEAD_MAX);
    assert_int_equal(api_plan_format(&p, &json), ERR_OK);
    assert_null(strchr(buf_cstr(&json), '\n'));
    assert_int_equal(api_plan_parse(buf_span(&json), &q), ERR_OK);
    assert_string_equal(q.envelope.queue_id, "4bXyz");
    assert_string_equal(q.envelope.domains, "a.test, c.test");
    assert_string_equal(q.envelope.sender, "alice@a.test");
    assert_string_equal(q.envelope.envid, "QQ+3D");
    assert_true(q.envelope.smtputf8);
    assert_false(q.envelope.command_line);
    assert_int_equal(q.envelope.client_port, 4711);
    assert_string_equal(q.envelope.auth, "alice");
    assert_int_equal(q.envelope.recipient_count, 2);
    assert_string_equal(q.envelope.recipient[0].address, recipient[0].address);
    assert_string_equal(q.envelope.recipient[0].notify, "FAILURE,DELAY");
    assert_string_equal(q.envelope.recipient[1].address, recipient[1].address);
    assert_null(q.envelope.recipient[1].orcpt);
    assert_int_equal(q.field_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(q.field[i].name, field[i].name);
        assert_string_equal(q.field[i].value, field[i].value);
    }
    assert_true(q.header_bytes == 1234567890123);
    api_plan_free(&q);
    buf_free(&json);
}

static void deposit_and_notice_come_back_as_they_went(void **state)
{
    struct api_recipient recipient = {"bob@b.test", NULL, NULL, NULL};
    struct api_deposit d = {envelope_sample(&recipient, 1)}, d2;
    struct api_field field[] = {{"Received", " from x\r\n\tby y"}, {"Subject", " \xff"}};
    struct api_notice n = {.envelope = envelope_sample(&recipient, 1),
                           .stub = " v=1; u=x;\r\n\ta=b",
                           .from = "A <a@a.test>",
                           .field_count = 2,
                           .field = field},
                      n2;
    struct buf json;
    (void)state;

    d.envelope.sender = "";
    d.envelope.client_port = 0;
    buf_init(&json, API_HEAD_MAX);
    assert_int_equal(api_deposit_format(&d, &json), ERR_OK);
    assert_int_equal(api_deposit_parse(buf_span(&json), &d2), ERR_OK);
    assert_string_equal(d2.envelope.sender, "");
    assert_int_equal(d2.envelope.client_port, 0);
    api_deposit_free(&d2);
    buf_clear(&json);
    assert_int_equal(api_notice_format(&n, &json), ERR_OK);
    assert_int_equal(api_notice_parse(buf_span(&json), &n2), ERR_OK);
    assert_string_equal(n2.stub, n.stub);
    assert_string_equal(n2.from, n.from);
    assert_null(n2.message_id);
    assert_int_equal(n2.field_count, 2);
    assert_string_equal(n2.field[0].name, "Received");
    assert_string_equal(api_field_value(n2.field, n2.field_count, "received"), field[0].value);
    assert_string_equal(api_field_value(n2.field, n2.field_count, "SUBJECT"), field[1].value);
    assert_null(api_field_value(n2.field, n2.field_count, "List-Id"));
    api_notice_free(&n2);
    buf_free(&json);
}

static void answers_come_back_as_they_went(void **state)
{
    enum api_verdict verdict[] = {API_VERDICT_PLAIN, API_VERDICT_STUB, API_VERDICT_REFUSE, API_VERDICT_KEEP,
                                  API_VERDICT_DROP};
    struct api_plan_answer a = {.kind = API_LEGACY,
                                .recipient_count = 5,
                                .verdict = verdict,
                                .want_body = true},
                           b;
    char ticket[2][33] = {"00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100"};
    struct api_deposit_answer t = {2, ticket}, u;
    struct buf json;
    (void)state;

    buf_init(&json, API_HEAD_MAX);
    assert_int_equal(api_plan_answer_format(&a, &json), ERR_OK);
    assert_int_equal(api_plan_answer_parse(buf_span(&json), &b), ERR_OK);
    assert_int_equal(b.kind, API_LEGACY);
    assert_int_equal(b.refuse.smtp, 0);
    assert_true(b.want_body);
    assert_int_equal(b.recipient_count, 5);
    assert_memory_equal(b.verdict, verdict, sizeof verdict);
    api_plan_answer_free(&b);

    a.refuse = (struct api_reply){451, "4.4.3", "later"};
    buf_clear(&json);
    assert_int_equal(api_plan_answer_format(&a, &json), ERR_OK);
    assert_int_equal(api_plan_answer_parse(buf_span(&json), &b), ERR_OK);
    assert_int_equal(b.refuse.smtp, 451);
    assert_string_equal(b.refuse.enhanced, "4.4.3");
    assert_string_equal(b.refuse.text, "later");
    api_plan_answer_free(&b);

    buf_clear(&json);
    assert_int_equal(api_deposit_answer_format(&t, &json), ERR_OK);
    assert_int_equal(api_deposit_answer_parse(buf_span(&json), &u), ERR_OK);
    assert_int_equal(u.ticket_count, 2);
    assert_memory_equal(u.ticket, ticket, sizeof ticket);
    api_deposit_answer_free(&u);
    buf_free(&json);
}

static void every_error_makes_a_reply_that_parses(void **state)
{
    struct api_reply r;
    struct buf json;
    char wide[400];
    (void)state;

    buf_init(&json, 65536);
    for (int e = 0; e < ERR_COUNT; e++) {
        buf_clear(&json);
        assert_int_equal(api_error_format((enum err)e, NULL, &json), ERR_OK);
        assert_int_equal(api_reply_parse(buf_span(&json), &r), ERR_OK);
        assert_int_equal(r.smtp, err_info((enum err)e)->smtp);
        assert_string_equal(r.enhanced, err_info((enum err)e)->enhanced);
        assert_string_equal(r.text, err_text((enum err)e));
    }
    buf_clear(&json);
    memset(wide, 'x', sizeof wide - 1);
    wide[sizeof wide - 1] = '\0';
    wide[3] = '\n';
    assert_int_equal(api_error_format(ERR_DISK_FULL, wide, &json), ERR_OK);
    assert_int_equal(api_reply_parse(buf_span(&json), &r), ERR_OK);
    assert_int_equal(strlen(r.text), sizeof r.text - 1);
    assert_int_equal(r.text[3], '?');

    buf_clear(&json);
    r = (struct api_reply){0, "", ""};
    assert_int_equal(api_reply_format(&r, &json), ERR_OK);
    assert_int_equal(api_reply_parse(buf_span(&json), &r), ERR_OK);
    r = (struct api_reply){451, "5.0.0", "class differs"};
    assert_int_equal(api_reply_format(&r, &json), ERR_INTERNAL);
    buf_free(&json);
}

static void text_that_json_cannot_carry_is_refused_or_replaced(void **state)
{
    struct api_recipient recipient = {"bob@b.test", NULL, NULL, NULL};
    struct api_deposit d, back;
    struct buf json;
    (void)state;

    buf_init(&json, API_HEAD_MAX);
    d = (struct api_deposit){envelope_sample(&recipient, 1)};
    d.envelope.sender = "\xff@a.test";
    assert_int_equal(api_deposit_format(&d, &json), ERR_ADDRESS);
    d = (struct api_deposit){envelope_sample(&recipient, 1)};
    recipient.address = "bob\x7f@b.test";
    assert_int_equal(api_deposit_format(&d, &json), ERR_ADDRESS);
    recipient.address = NULL;
    assert_int_equal(api_deposit_format(&d, &json), ERR_INTERNAL);
    recipient.address = "bob@b.test";
    recipient.orcpt = "rfc822;\xe4";
    assert_int_equal(api_deposit_format(&d, &json), ERR_SYNTAX);
    recipient.orcpt = NULL;
    d.envelope.helo = "h\xe4\tx";
    assert_int_equal(json.len, 0);
    assert_int_equal(api_deposit_format(&d, &json), ERR_OK);
    assert_int_equal(api_deposit_parse(buf_span(&json), &back), ERR_OK);
    assert_string_equal(back.envelope.helo, "h??x");
    api_deposit_free(&back);
    buf_free(&json);
}

static void a_document_larger_than_the_buffer_leaves_it_as_it_was(void **state)
{
    struct api_recipient recipient = {"bob@b.test", NULL, NULL, NULL};
    struct api_deposit d = {envelope_sample(&recipient, 1)};
    struct buf json;
    (void)state;

    buf_init(&json, 40);
    assert_int_equal(buf_append_str(&json, "before"), ERR_OK);
    assert_int_equal(api_deposit_format(&d, &json), ERR_TOO_LARGE);
    assert_string_equal(buf_cstr(&json), "before");
    buf_free(&json);
}

static void malformed_documents_are_refused(void **state)
{
    static const struct {
        const char *name, *json;
    } plan[] = {
        {"empty", ""},
        {"no object", "[]"},
        {"not JSON", "{"},
        {"trailing bytes", "{" ENVELOPE ",\"fields\":[]}x"},
        {"no envelope", "{\"fields\":[]}"},
        {"envelope is a number", "{\"envelope\":1,\"fields\":[]}"},
        {"no sender", "{\"envelope\":{" RCPTS "},\"fields\":[]}"},
        {"no recipients", "{\"envelope\":{\"sender\":\"\"},\"fields\":[]}"},
        {"no fields", "{" ENVELOPE "}"},
        {"unknown member", "{" ENVELOPE ",\"fields\":[],\"x\":1}"},
        {"unknown envelope member", "{\"envelope\":{\"sender\":\"\",\"x\":1," RCPTS "},\"fields\":[]}"},
        {"unknown recipient member",
         "{\"envelope\":{\"sender\":\"\",\"recipients\":[{\"address\":\"\",\"x\":\"\"}]},\"fields\":[]}"},
        {"recipient is a string", "{\"envelope\":{\"sender\":\"\",\"recipients\":[\"x\"]},\"fields\":[]}"},
        {"duplicate member", "{" ENVELOPE "," ENVELOPE ",\"fields\":[]}"},
        {"wrong type", "{\"envelope\":{\"sender\":1," RCPTS "},\"fields\":[]}"},
        {"null is not absent", "{\"envelope\":{\"sender\":\"\",\"auth\":null," RCPTS "},\"fields\":[]}"},
        {"flag is a number", "{\"envelope\":{\"sender\":\"\",\"smtputf8\":1," RCPTS "},\"fields\":[]}"},
        {"port too high", "{\"envelope\":{\"sender\":\"\",\"client_port\":65536," RCPTS "},\"fields\":[]}"},
        {"port negative", "{\"envelope\":{\"sender\":\"\",\"client_port\":-1," RCPTS "},\"fields\":[]}"},
        {"size negative", "{" ENVELOPE ",\"fields\":[],\"header_bytes\":-1}"},
        {"size is a real", "{" ENVELOPE ",\"fields\":[],\"header_bytes\":1.5}"},
        {"control character", "{\"envelope\":{\"sender\":\"a\\u000a\"," RCPTS "},\"fields\":[]}"},
        {"NUL", "{\"envelope\":{\"sender\":\"a\\u0000\"," RCPTS "},\"fields\":[]}"},
        {"DEL", "{\"envelope\":{\"sender\":\"a\\u007f\"," RCPTS "},\"fields\":[]}"},
        {"not UTF-8", "{\"envelope\":{\"sender\":\"\xff\"," RCPTS "},\"fields\":[]}"},
        {"lone surrogate", "{\"envelope\":{\"sender\":\"\\ud800\"," RCPTS "},\"fields\":[]}"},
        {"raw value not base64url", "{" ENVELOPE ",\"fields\":[{\"name\":\"From\",\"value\":\"+\"}]}"},
        {"raw value with NUL", "{" ENVELOPE ",\"fields\":[{\"name\":\"From\",\"value\":\"AAAA\"}]}"},
        {"raw value with loose bits", "{" ENVELOPE ",\"fields\":[{\"name\":\"From\",\"value\":\"YR\"}]}"},
    };
    static const char *const answer[] = {
        "{\"kind\":\"x\",\"verdicts\":[],\"want_body\":false}",
        "{\"kind\":1,\"verdicts\":[],\"want_body\":false}",
        "{\"kind\":\"none\",\"verdicts\":[\"x\"],\"want_body\":false}",
        "{\"kind\":\"none\",\"verdicts\":[1],\"want_body\":false}",
        "{\"kind\":\"none\",\"verdicts\":{},\"want_body\":false}",
        "{\"kind\":\"none\",\"verdicts\":[],\"want_body\":0}",
        "{\"kind\":\"none\",\"verdicts\":[],\"want_body\":true,\"y\":1}",
        "{\"kind\":\"none\",\"verdicts\":[],\"want_body\":true,\"refuse\":{}}",
    };
    static const char *const reply[] = {
        "{\"smtp\":\"451\",\"enhanced\":\"4.0.0\",\"text\":\"\"}",
        "{\"smtp\":451,\"enhanced\":\"5.0.0\",\"text\":\"\"}",
        "{\"smtp\":451,\"enhanced\":\"4.0\",\"text\":\"\"}",
        "{\"smtp\":451,\"enhanced\":\"4..0\",\"text\":\"\"}",
        "{\"smtp\":451,\"enhanced\":\"4.0000.0\",\"text\":\"\"}",
        "{\"smtp\":451,\"enhanced\":\"4.0.0.0\",\"text\":\"\"}",
        "{\"smtp\":451,\"enhanced\":\"4.000.0000\",\"text\":\"\"}",
        "{\"smtp\":199,\"enhanced\":\"\",\"text\":\"\"}",
        "{\"smtp\":600,\"enhanced\":\"\",\"text\":\"\"}",
        "{\"smtp\":4294967747,\"enhanced\":\"\",\"text\":\"\"}",
        "{\"smtp\":0,\"enhanced\":\"4.0.0\",\"text\":\"\"}",
        "{\"smtp\":451,\"enhanced\":\"\",\"text\":\"\\u000d\\u000a250 ok\"}",
        "{\"smtp\":451,\"enhanced\":\"\",\"text\":\"\xc3\xa4\"}",
        "{\"smtp\":451,\"enhanced\":\"\"}",
        "{\"smtp\":451,\"enhanced\":\"\",\"text\":\"\",\"more\":1}",
        "{\"smtp\":451,\"enhanced\":\"\",\"text\":\"\",\"error\":1}",
    };
    static const char *const tickets[] = {
        "{}",
        "{\"tickets\":1}",
        "{\"tickets\":[1]}",
        "{\"tickets\":[\"00112233445566778899aabbccddeef\"]}",
        "{\"tickets\":[\"00112233445566778899aabbccddeefF\"]}",
        "{\"tickets\":[],\"x\":[]}",
    };
    static const char *const notice[] = {
        "{" ENVELOPE ",\"fields\":[]}",
        "{" ENVELOPE ",\"stub\":\"YQ\"}",
        "{" ENVELOPE ",\"fields\":[],\"stub\":\"YQ\",\"x\":1}",
        "{\"envelope\":{\"sender\":\"\",\"recipients\":[]},\"fields\":[],\"stub\":\"YQ\"}",
        "{\"envelope\":{\"sender\":\"\",\"recipients\":[{\"address\":\"a\"},{\"address\":\"b\"}]},\"fields\":"
        "[],\"stub\":"
        "\"YQ\"}",
    };
    (void)state;

    for (size_t i = 0; i < sizeof plan / sizeof plan[0]; i++) {
        struct api_plan p;
        if (api_plan_parse(span_of(plan[i].json), &p) != ERR_SYNTAX)
            fail_msg("%s: was not refused", plan[i].name);
    }
    for (size_t i = 0; i < sizeof answer / sizeof answer[0]; i++) {
        struct api_plan_answer a;
        if (api_plan_answer_parse(span_of(answer[i]), &a) != ERR_SYNTAX)
            fail_msg("%s: was not refused", answer[i]);
    }
    for (size_t i = 0; i < sizeof reply / sizeof reply[0]; i++) {
        struct api_reply r;
        if (api_reply_parse(span_of(reply[i]), &r) != ERR_SYNTAX)
            fail_msg("%s: was not refused", reply[i]);
    }
    for (size_t i = 0; i < sizeof tickets / sizeof tickets[0]; i++) {
        struct api_deposit_answer a;
        if (api_deposit_answer_parse(span_of(tickets[i]), &a) != ERR_SYNTAX)
            fail_msg("%s: was not refused", tickets[i]);
    }
    for (size_t i = 0; i < sizeof notice / sizeof notice[0]; i++) {
        struct api_notice n;
        if (api_notice_parse(span_of(notice[i]), &n) != ERR_SYNTAX)
            fail_msg("%s: was not refused", notice[i]);
    }
    struct api_deposit d;
    assert_int_equal(api_deposit_parse(span_of("{" ENVELOPE ",\"x\":1}"), &d), ERR_SYNTAX);
}

static void more_recipients_than_the_bound_are_refused(void **state)
{
    struct api_deposit d;
    struct buf json;
    (void)state;

    buf_init(&json, API_HEAD_MAX);
    assert_int_equal(buf_append_str(&json, "{\"envelope\":{\"sender\":\"\",\"recipients\":["), ERR_OK);
    for (int i = 0; i < API_RECIPIENTS_MAX; i++)
        assert_int_equal(buf_append_str(&json, "{\"address\":\"a@b\"},"), ERR_OK);
    json.len--; /* the last comma */
    assert_int_equal(buf_append_str(&json, "]}}"), ERR_OK);
    assert_int_equal(api_deposit_parse(buf_span(&json), &d), ERR_OK);
    assert_int_equal(d.envelope.recipient_count, API_RECIPIENTS_MAX);
    api_deposit_free(&d);
    json.len -= 3;
    assert_int_equal(buf_append_str(&json, ",{\"address\":\"a@b\"}]}}"), ERR_OK);
    assert_int_equal(api_deposit_parse(buf_span(&json), &d), ERR_SYNTAX);
    buf_free(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_comes_back_as_it_went),
        cmocka_unit_test(deposit_and_notice_come_back_as_they_went),
        cmocka_unit_test(answers_come_back_as_they_went),
        cmocka_unit_test(every_error_makes_a_reply_that_parses),
        cmocka_unit_test(text_that_json_cannot_carry_is_refused_or_replaced),
        cmocka_unit_test(a_document_larger_than_the_buffer_leaves_it_as_it_was),
        cmocka_unit_test(malformed_documents_are_refused),
        cmocka_unit_test(more_recipients_than_the_bound_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
