#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "local/api.h"
#include "mail/stub.h"
#include "replay.h"

static const char letter[] = "Return-Path: <alice@a.test>\n"
                             "X-Original-To: bob+shop@b.test\n"
                             "Delivered-To: bob@b.test\n"
                             "Received: from mx.a.test (mx.a.test [192.0.2.1])\n"
                             "\tby mx.b.test (Postfix) with ESMTP id 1\n"
                             "Received: from laptop (unknown [IPv6:2001:db8::1])\n"
                             "\tby mx.a.test (Postfix) with ESMTPSA id 2\n"
                             "From: Alice\n <alice@a.test>\n"
                             "X-Other: yes\n"
                             "List-Id: <dev.a.test>\n"
                             "Message-ID: <1@a.test>\n"
                             "\n"
                             "From: not the header\n";

static void replay(const struct replay *r, struct api_plan *out)
{
    struct buf json, why;

    buf_init(&json, 1 << 20);
    buf_init(&why, 1000);
    if (replay_format(r, &json, &why))
        fail_msg("%s", buf_cstr(&why));
    assert_int_equal(api_plan_parse(buf_span(&json), out), ERR_OK);
    buf_free(&json);
    buf_free(&why);
}

static const char *value(const struct api_plan *p, const char *name)
{
    for (size_t i = 0; i < p->field_count; i++) {
        if (strcmp(p->field[i].name, name) == 0)
            return p->field[i].value;
    }
    return NULL;
}

static void a_file_is_shown_as_the_milter_saw_it(void **state)
{
    struct api_plan p;

    (void)state;
    replay(&(struct replay){.message = span_of(letter)}, &p);
    assert_string_equal(p.envelope.sender, "alice@a.test");
    assert_int_equal(p.envelope.recipient_count, 1);
    assert_string_equal(p.envelope.recipient[0].address, "bob+shop@b.test");
    assert_string_equal(p.envelope.client_address, "192.0.2.1");
    assert_string_equal(p.envelope.helo, "mx.a.test");
    assert_string_equal(value(&p, "From"), " Alice\r\n <alice@a.test>");
    assert_string_equal(value(&p, "List-Id"), " <dev.a.test>");
    assert_null(value(&p, "X-Other"));
    /* Our own MTA's line was not there when the milter looked. */
    assert_non_null(strstr(value(&p, "Received"), "laptop"));
    api_plan_free(&p);
}

static void what_is_given_goes_before_the_file(void **state)
{
    struct api_plan p;

    (void)state;
    replay(&(struct replay){.message = span_of(letter),
                            .from = "eve@evil.test",
                            .to = "<bob@b.test>",
                            .client = "2001:db8::2",
                            .helo = "evil",
                            .author = "Mallory <m@evil.test>"},
           &p);
    assert_string_equal(p.envelope.sender, "eve@evil.test");
    assert_string_equal(p.envelope.recipient[0].address, "bob@b.test");
    assert_string_equal(p.envelope.client_address, "2001:db8::2");
    assert_string_equal(p.envelope.helo, "evil");
    assert_string_equal(value(&p, "From"), "Mallory <m@evil.test>");
    assert_non_null(strstr(value(&p, "Received"), "mx.b.test"));
    api_plan_free(&p);
}

static void an_envelope_alone_is_enough(void **state)
{
    struct api_plan p;
    struct stub stub;

    (void)state;
    replay(&(struct replay){.from = "eve@evil.test",
                            .to = "bob@b.test",
                            .client = "192.0.2.66",
                            .link_host = "pull.evil.test:8443"},
           &p);
    assert_string_equal(value(&p, "From"), "eve@evil.test");
    assert_int_equal(stub_parse(span_of(value(&p, STUB_FIELD_NAME)), &stub, NULL), ERR_OK);
    assert_int_equal(strncmp(stub.url, "https://pull.evil.test:8443/restante/1/", 39), 0);
    assert_string_equal(stub.to.local, "bob");
    stub_wipe(&stub);
    api_plan_free(&p);
}

/* As they lie in a mailbox: the MTA's own line from this host stands above what restante-fetchd wrote. */
#define FROM_HERE                                                                                            \
    "Received: from mx.b.test (localhost [127.0.0.1])\n\tby mx.b.test (Postfix) with ESMTP id 1\n"
#define CALLED_FOR                                                                                           \
    "Received: from pull.a.test ([192.0.2.50])\n\t(using TLSv1.3 x)\n\tby mx.b.test (Restante) with "        \
    "RESTANTE id 0a\n"                                                                                       \
    "Authentication-Results: mx.b.test;\n\trestante=pass reason=\"allowed\" "                                \
    "smtp.mailfrom=policy.host=x@a.test\n"                                                                   \
    "\tpolicy.host=pull.a.test;\n\tspf=pass smtp.mailfrom=a.test"
#define ORIGINAL                                                                                             \
    "Received: from laptop (unknown [198.51.100.1])\n\tby mx.a.test with ESMTPSA id 2\nFrom: a@a.test\n\n"

static void letters_that_came_by_restante_are_judged_as_they_came(void **state)
{
    static const struct {
        const char *text, *client, *url, *received; /* received: in the first one that is left; "": none is */
        const char *given;                          /* --client */
    } cases[] = {
        {FROM_HERE CALLED_FOR ";\n\tiprev=pass policy.iprev=\"2001:db8::1\"\n" ORIGINAL, "2001:db8::1",
         "https://pull.a.test/", "laptop", NULL},
        {CALLED_FOR ";\n\tiprev=pass policy.iprev=192.0.2.1\n" ORIGINAL, "192.0.2.1", "https://pull.a.test/",
         "laptop", NULL},
        {FROM_HERE CALLED_FOR "\n" ORIGINAL, "192.0.2.9", "https://pull.a.test/", "laptop", "192.0.2.9"},
        /* kept here, or handed over by a filter of this host */
        {FROM_HERE
         "Received: from mx.c.test (mx.c.test [192.0.2.3])\n\tby mx.b.test (Restante, kept) id 0b\n" ORIGINAL,
         "192.0.2.3", NULL, "laptop", NULL},
        {FROM_HERE FROM_HERE ORIGINAL, "198.51.100.1", NULL, "", NULL},
        /* never elsewhere */
        {FROM_HERE FROM_HERE "From: a@a.test\n\n", "127.0.0.1", NULL, "mx.b.test", NULL},
        {"Received: from x (y [IPv6:::1])\n" FROM_HERE "\n", "::1", NULL, "mx.b.test", NULL},
        /* somebody else's words */
        {"Received: from x (y [192.0.2.7])\n" FROM_HERE CALLED_FOR "\n" ORIGINAL, "192.0.2.7", NULL,
         "mx.b.test", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct api_plan p;
        struct stub stub;

        replay(&(struct replay){.from = "a@a.test",
                                .to = "bob@b.test",
                                .client = cases[i].given,
                                .message = span_of(cases[i].text)},
               &p);
        assert_string_equal(p.envelope.client_address, cases[i].client);
        const char *field = value(&p, STUB_FIELD_NAME), *received = value(&p, "Received");
        assert_int_equal(field != NULL, cases[i].url != NULL);
        if (field) {
            assert_int_equal(stub_parse(span_of(field), &stub, NULL), ERR_OK);
            assert_int_equal(strncmp(stub.url, cases[i].url, strlen(cases[i].url)), 0);
            stub_wipe(&stub);
        }
        assert_int_equal(received != NULL, cases[i].received[0] != '\0');
        assert_true(!received || strstr(received, cases[i].received));
        api_plan_free(&p);
    }
}

static void what_cannot_be_replayed_is_told(void **state)
{
    static const struct {
        struct replay r;
        const char *why;
    } cases[] = {
        {{.to = "bob@b.test", .client = "192.0.2.1"}, "the sender is not known: give it with --from"},
        {{.from = "a@a.test", .client = "192.0.2.1"}, "the recipient is not known: give it with --to"},
        {{.from = "a@a.test", .to = "bob@b.test"}, "the client is not known: give its address with --client"},
        {{.from = "a@a.test", .to = "bob@b.test", .client = "mx.a.test"}, "the client is no IP address"},
        {{.from = "a", .to = "bob@b.test", .client = "192.0.2.1"}, "a is no address"},
        {{.from = "a@a.test", .to = "", .client = "192.0.2.1"}, " is no address"},
        {{.from = "a@a.test", .to = "bob@b.test", .client = "192.0.2.1", .link_host = "x y"},
         "no stub can be made of a@a.test and link host x y"},
    };
    struct buf json, why;

    (void)state;
    buf_init(&json, 1 << 20);
    buf_init(&why, 1000);
    for (size_t i = 0; i < COUNT(cases); i++) {
        buf_clear(&why);
        assert_int_equal(replay_format(&cases[i].r, &json, &why), ERR_SYNTAX);
        assert_string_equal(buf_cstr(&why), cases[i].why);
        assert_int_equal(json.len, 0);
    }
    buf_free(&json);
    buf_free(&why);
}

static void files_of_all_kinds_are_read(void **state)
{
    static const struct {
        const char *text, *client;
    } cases[] = {
        {"From alice@a.test Sat Nov 21 2026\r\nReceived: from x (y [192.0.2.9])\r\n\r\n", "192.0.2.9"},
        {"Received: from x (y [IPv6:2001:db8::9]) by z\n\n", "2001:db8::9"},
        {"Received: by mx.b.test (Postfix, from userid 0)\n\n", "192.0.2.1"},
        {"Received: from x (y [192.0.2.999])\n\n", "192.0.2.1"},
        {"", "192.0.2.1"},
        {"\n\n", "192.0.2.1"},
        {"no header at all", "192.0.2.1"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct api_plan p;
        struct replay r = {.from = "a@a.test", .to = "b@b.test", .message = span_of(cases[i].text)};
        if (strcmp(cases[i].client, "192.0.2.1") == 0)
            r.client = cases[i].client;
        replay(&r, &p);
        assert_string_equal(p.envelope.client_address, cases[i].client);
        api_plan_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_shown_as_the_milter_saw_it),
        cmocka_unit_test(what_is_given_goes_before_the_file),
        cmocka_unit_test(an_envelope_alone_is_enough),
        cmocka_unit_test(letters_that_came_by_restante_are_judged_as_they_came),
        cmocka_unit_test(what_cannot_be_replayed_is_told),
        cmocka_unit_test(files_of_all_kinds_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
