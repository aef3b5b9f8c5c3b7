/*
 * ticket.pml - the ticket protocol as a model for spin: one sender's site, two fetchds of one recipient's
 * domain that share nothing, their MTAs, a network that loses, delays and repeats, and a user.
 *
 * tests/model/run checks it, and broken variants of it (-DBREAK_...), each of which must fail. The states and
 * what may follow on what are the code's: table.pml is printed by print_table.c out of ticket_state.c and
 * store_job.c, every step asserts against it, and run compares the steps that were taken with the whole table.
 *
 * What stands for what:
 *  - Each do-option below is one durable step of one party, or a step of the network. Parties crash between
 *    any two steps, as often as it pleases the checker; what is volatile is lost then. There is no counter of
 *    crashes, losses or repetitions anywhere, so there is no bound on them either.
 *  - Time is choice: a lease may run out, a ticket or job expire, a stub be sent again whenever the state lets
 *    it.
 *  - A claim and an ack are two halves, as in the store: committed in memory (`mem`), durable at a sync that
 *    others share (`dur`), and only then answered. Every other word syncs before it answers, also when it
 *    changes nothing.
 *  - A request whose puller has given up may still be on its way (`late`), and be served later, any number
 *    of times.
 *  - One letter, one ticket, at most one replacement (version 2). Bodies in parts (Range) are left out: they
 *    change no state. So are quota, hold, archive, and what a restored backup has forgotten.
 *  - An MTA is consistent: it takes the letter or it does not, now or later (4xx). The two sites' MTAs need not
 *    agree. The variant LIMIT_... drops this assumption and fails: see docs/PROTOCOL.md.
 */
#include "table.pml"

/* The rules; -DRULES=n checks only the n-th, to show that it bites in a broken variant. */
#ifndef RULES
#define RULES 0
#endif
/* No step but those of the code's tables. */
#define TABLE 1
/* The end of it all is: delivered, or taken back, or the sender is told. */
#define LOST_IN_SILENCE 2
/* What is reported delivered has been delivered. */
#define LOST_AND_DELIVERED 3
/* A payload goes only once its ticket has ended: acked, refused, retracted, bounced, sent plain, expired,
 * unconfirmed; or another is in its place. What a claim gives is there. */
#define DESTROYED 4
/* What was said to be retracted, or the old version of what was said to be replaced, is never delivered
 * afterwards. */
#define TAKEN_BACK 5
/* A delivered letter is never reported as not delivered, before or after. */
#define NOT_DELIVERED 6
/* What was said to be collected is never reported as never called for. */
#define COLLECTED 7
/* Delivered twice only in the cases that docs/PROTOCOL.md names. */
#define TWICE 8
#define RULE(number, condition) assert((RULES != 0 && RULES != number) || (condition))

#define NOBODY 2

/* requests */
#define NONE 0
#define CLAIM 1
#define ACK 2
#define NACK 3
#define STATUS 4

/* where a request is */
#define SENT 1
#define SERVED 2 /* its answer waits for the sync */
#define ANSWERED 3

/* answers */
#define OK 1 /* also the letter: see given */
#define GONE 2
#define GONE_AS_ACKED 3
#define NOT_NOW 4

/* what an MTA thinks of the letter: it makes up its mind when it sees it, once */
#define UNDECIDED 0
#define TAKES_IT 1
#define NEVER_TAKES_IT 2

/* a flight: what a puller is about; volatile */
#define IDLE 0
#define ASKED 1
#define SPOOLED 2 /* the letter is here, not with the MTA */
#define TAKEN 3   /* the MTA has said 250, and that is not marked */

typedef ticket {
    byte state;
    bit replaced; /* version 2 */
    bit handed;   /* handed over once */
    byte holder;  /* of the last lease */
    bit several;  /* and somebody else had one before */
    bit notice;   /* a notification is due */
    bit plain;    /* it is to be sent plain */
};

typedef puller {
    /* durable */
    byte job;
    byte digest; /* version that the MTA has */
    /* volatile */
    byte flight;
    byte given; /* version that a claim gave */
    /* the network between it and the sender's site */
    byte verb, at, answer;
    byte late; /* a request that nobody waits for any more: likewise */
    bit stub;  /* a stub went to it: it comes some time, or never, or again and again */
    byte mta;  /* what its MTA thinks of the letter */
};

ticket mem, dur;
bit dirty;            /* mem is ahead of dur */
bit plain_taken;      /* volatile: the sender's MTA has said 250 to the letter itself, and that is not marked */
byte plain_mta;       /* what it thinks of the letter */
puller r[2];

/* What is really there, whatever anybody remembers. */
bit file[3] = {0, 1, 0}; /* the payload of version 1, 2; [0] is none */
byte got;                /* how many MTAs' 250 the letter has had: 0, 1, more */
bit excuse;              /* one of the cases in which a double delivery is allowed */
/* What the sender was told. */
bit told_delivered, told_failed, told_unconfirmed;
bit said_retracted, said_replaced, said_collected;

#define STUBBED (r[0].stub || r[1].stub) /* a stub went out, so one may come back */
#define ENDED(t) TICKET_ENDED(t.state)
#define BEFORE_HAND_OVER(t) (t.state == WAITING || t.state == HELD || t.state == CHALLENGED)
#define VERSION(t) (1 + t.replaced)
/* The payload of this version is needed by a ticket's record. */
#define NEEDS(t, v) (VERSION(t) == v && (!ENDED(t) || t.notice || t.plain))

/* Steps that were taken are remarked outside of the states (remark.h), and counted at the end. */
c_decl {
\#include "remark.h"
};
byte step_from, step_to; /* always 0 between steps */

/* ---- the sender's site --------------------------------------------------------------------------------- */

inline enter(to)
{
    d_step {
        RULE(TABLE, TICKET_MAY(mem.state, to));
        step_from = mem.state;
        step_to = to;
        c_code { remark_step(0, now.step_from, now.step_to); };
        step_from = 0;
        step_to = 0;
        mem.state = to
    }
}

inline sync()
{
    dur.state = mem.state;
    dur.replaced = mem.replaced;
    dur.handed = mem.handed;
    dur.holder = mem.holder;
    dur.several = mem.several;
    dur.notice = mem.notice;
    dur.plain = mem.plain;
    dirty = 0
}

/* The body of a word that is said over the wire. */
inline serve(i, word, out)
{
    if
    :: word == CLAIM ->
        if
        :: ENDED(mem) -> out = (mem.state == DELIVERED -> GONE_AS_ACKED : GONE)
        :: !ENDED(mem) && mem.state == LEASED && mem.holder != i -> out = NOT_NOW
        :: else ->
            if
            :: mem.state != LEASED ->
                enter(LEASED);
                mem.several = mem.several || (mem.handed && mem.holder != i);
                mem.holder = i;
                mem.handed = 1;
                dirty = 1
            :: else
            fi;
            RULE(DESTROYED, file[VERSION(mem)]);
            out = OK
        fi
    :: word == ACK ->
        if
        :: ENDED(mem) && mem.state != DELIVERED -> out = GONE
        :: !(ENDED(mem) && mem.state != DELIVERED) && (!mem.handed || r[i].digest != VERSION(mem)) -> out = NOT_NOW
        :: mem.handed && r[i].digest == VERSION(mem) && mem.state == DELIVERED -> out = OK
        :: mem.handed && r[i].digest == VERSION(mem) && !ENDED(mem) ->
            enter(DELIVERED);
            if
            :: mem.notice = 1 /* NOTIFY=SUCCESS */
            :: true
            fi;
            dirty = 1;
            out = OK
        fi
    :: word == NACK ->
        if
        :: mem.state == REFUSED -> out = OK
        :: ENDED(mem) && mem.state != REFUSED -> out = (mem.state == DELIVERED -> GONE_AS_ACKED : GONE)
        :: !ENDED(mem) && mem.handed && mem.holder != i -> out = NOT_NOW
        :: else ->
#ifndef BREAK_REFUSED_BY_ONE_OF_SEVERAL
            if
            :: mem.several ->
                if
                :: mem.state == LEASED -> enter(LAPSED)
                :: else
                fi;
                enter(UNCONFIRMED)
            :: else -> enter(REFUSED)
            fi;
#else
            enter(REFUSED);
#endif
            mem.notice = 1;
            out = OK
        fi;
        sync()
    :: word == STATUS ->
        if
        :: ENDED(mem) -> out = (mem.state == DELIVERED -> GONE_AS_ACKED : GONE)
        :: !ENDED(mem) && mem.handed -> out = NOT_NOW
        :: else ->
            if
            :: mem.state != HELD -> enter(HELD)
            :: mem.state != CHALLENGED -> enter(CHALLENGED)
            :: true
            fi;
            out = OK
        fi;
        sync()
    fi
}

/* A letter goes into some MTA: never one that was taken back or replaced, nor one that is reported lost. */
inline taken(version)
{
    RULE(TAKEN_BACK, !said_retracted && !(said_replaced && version == 1));
    RULE(NOT_DELIVERED, !told_failed);
    got = (got < 2 -> got + 1 : 2);
    /* Or stubs of one ticket have reached two fetchds without a shared store. */
    RULE(TWICE, got < 2 || excuse || (r[0].job != JOB_NONE && r[1].job != JOB_NONE))
}

inline decide(thinks)
{
    if
    :: thinks == UNDECIDED -> thinks = TAKES_IT
    :: thinks == UNDECIDED -> thinks = NEVER_TAKES_IT
    :: thinks != UNDECIDED
    fi
}

/* What must hold whenever the sender's site has done something. */
inline check()
{
    RULE(DESTROYED, file[VERSION(dur)] || (ENDED(dur) && !dur.plain && !dur.notice));
    RULE(LOST_IN_SILENCE, !ENDED(dur) || dirty || dur.notice || dur.plain || got > 0 || told_failed ||
                              told_unconfirmed || dur.state == RETRACTED)
}

inline tell()
{
    if
    :: mem.state == DELIVERED ->
        RULE(LOST_AND_DELIVERED, got > 0);
        told_delivered = 1
    :: mem.state == UNCONFIRMED -> told_unconfirmed = 1
    :: else ->
        RULE(NOT_DELIVERED, got == 0);
        RULE(COLLECTED, mem.state == REFUSED || !said_collected);
        told_failed = 1
    fi
}

proctype sender()
{
    byte i, out;

end:
    do
    /* a request comes in */
    :: atomic {
        r[0].at == SENT || r[1].at == SENT ->
        if
        :: r[0].at == SENT -> i = 0
        :: r[1].at == SENT -> i = 1
        fi;
        serve(i, r[i].verb, out);
        r[i].answer = out;
        r[i].given = (r[i].verb == CLAIM && out == OK -> VERSION(mem) : 0);
        r[i].at = SERVED;
#ifdef BREAK_CLAIM_NOT_DURABLE
        if
        :: r[i].verb == CLAIM -> r[i].at = ANSWERED
        :: else
        fi;
#endif
        if
        :: r[i].verb == NACK || r[i].verb == STATUS -> r[i].at = ANSWERED
        :: else
        fi;
        check();
        i = 0;
        out = 0
       }
    /* one that nobody waits for */
    :: atomic {
        r[0].late != NONE || r[1].late != NONE ->
        if
        :: r[0].late != NONE -> i = 0
        :: r[1].late != NONE -> i = 1
        fi;
        serve(i, r[i].late, out);
        check();
        i = 0;
        out = 0
       }
    /* one sync for all */
    :: atomic {
        dirty || r[0].at == SERVED || r[1].at == SERVED ->
        sync();
        if
        :: r[0].at == SERVED -> r[0].at = ANSWERED
        :: else
        fi;
        if
        :: r[1].at == SERVED -> r[1].at = ANSWERED
        :: else
        fi;
        check()
       }
    /* stubs: the first, and again; and once more of what was taken back, so that the other side forgets it */
    :: d_step {
        (!ENDED(mem) && mem.state != LEASED || mem.state == RETRACTED) && !r[0].stub ->
        r[0].stub = 1
       }
#ifndef ONE_RECEIVER
    :: d_step { /* the receivers are alike: 0 is the one that the first is for */
        (!ENDED(mem) && mem.state != LEASED || mem.state == RETRACTED) && r[0].stub && !r[1].stub ->
        r[1].stub = 1
       }
#endif
    /* a stub comes back, or the MTA never takes it */
    :: atomic {
        STUBBED && BEFORE_HAND_OVER(mem) ->
        enter(BOUNCED);
        mem.notice = 1;
        sync();
        check()
       }
#ifdef BREAK_BOUNCE_AFTER_HAND_OVER
    :: atomic {
        STUBBED && mem.state == LAPSED ->
        enter(BOUNCED);
        mem.notice = 1;
        sync();
        check()
       }
#endif
    /* time */
    :: atomic {
        mem.state == LEASED && !dirty ->
        enter(LAPSED);
        sync()
       }
    :: atomic {
        BEFORE_HAND_OVER(mem) || mem.state == LAPSED ->
#ifdef BREAK_EXPIRY_LIES
        enter(EXPIRED);
#else
        if
        :: mem.state == LAPSED -> enter(UNCONFIRMED)
        :: else -> enter(EXPIRED)
        fi;
#endif
#ifdef BREAK_UNCONFIRMED_IN_SILENCE
        mem.notice = (mem.state != UNCONFIRMED);
#else
        mem.notice = 1;
#endif
        sync();
        check()
       }
    /* the user takes it back; he may be told so or not, and may ask again */
    :: atomic {
#ifdef BREAK_RETRACT_BLIND
        !ENDED(mem) || mem.state == RETRACTED ->
#else
        BEFORE_HAND_OVER(mem) || mem.state == RETRACTED ->
#endif
        if
        :: mem.state != RETRACTED -> enter(RETRACTED)
        :: else
        fi;
#ifdef BREAK_RETRACT_NOT_DURABLE
        dirty = 1;
#else
        sync();
#endif
        if
        :: said_retracted = 1
        :: true
        fi;
        check()
       }
    :: atomic {
        !ENDED(mem) && mem.handed ->
#ifndef BREAK_COLLECTED_NOT_DURABLE
        sync();
#endif
        said_collected = 1
       }
    /* he puts another in its place */
    :: atomic {
#ifdef BREAK_REPLACE_BLIND
        !ENDED(mem) && !mem.replaced ->
#else
        BEFORE_HAND_OVER(mem) && !mem.replaced ->
#endif
        file[2] = 1;
        mem.replaced = 1;
        sync();
        said_replaced = 1;
        check()
       }
    /* the domain takes no stubs any more */
#ifdef BREAK_PLAIN_OPEN
    :: atomic { /* out first, and closed afterwards */
        BEFORE_HAND_OVER(mem) && !plain_taken ->
        taken(VERSION(mem));
        plain_taken = 1
       }
    :: atomic {
        plain_taken && !ENDED(mem) ->
        enter(PLAIN);
        plain_taken = 0;
        sync()
       }
#else
    :: atomic {
        BEFORE_HAND_OVER(mem) ->
        enter(PLAIN);
        mem.plain = 1;
        sync();
        check()
       }
    :: atomic {
        mem.plain && !plain_taken && plain_mta != NEVER_TAKES_IT ->
        decide(plain_mta);
        if
        :: plain_mta == TAKES_IT ->
            taken(VERSION(mem));
            if
            :: plain_taken = 1
            :: excuse = 1 /* the 250 was lost */
            fi
        :: else
        fi
       }
    :: atomic {
        mem.plain && plain_taken ->
        mem.plain = 0;
        plain_taken = 0;
        sync();
        check()
       }
    :: atomic {
        mem.plain && plain_mta == NEVER_TAKES_IT ->
        mem.plain = 0;
        mem.notice = 1;
        sync();
        check()
       }
#endif
    /* notifications: may go out twice, when the mark is lost */
    :: atomic {
        mem.notice ->
        tell();
        if
        :: mem.notice = 0;
           sync()
        :: true
        fi;
        check()
       }
    /* what nobody needs goes: a file once that is durable */
    :: atomic {
#ifdef BREAK_DESTROY_BEFORE_DURABLE
        file[1] && !NEEDS(mem, 1) -> file[1] = 0;
#else
        file[1] && !NEEDS(dur, 1) -> file[1] = 0;
#endif
        check()
       }
    :: atomic {
        file[2] && !NEEDS(dur, 2) -> file[2] = 0;
        check()
       }
    /* it dies, and comes back */
    :: atomic {
        dirty || plain_taken || r[0].at == SERVED || r[1].at == SERVED ->
        mem.state = dur.state;
        mem.replaced = dur.replaced;
        mem.handed = dur.handed;
        mem.holder = dur.holder;
        mem.several = dur.several;
        mem.notice = dur.notice;
        mem.plain = dur.plain;
        dirty = 0;
        if
        :: plain_taken ->
            excuse = 1;
            plain_taken = 0
        :: else
        fi;
        for (i : 0 .. 1) {
            if
            :: r[i].at == SERVED -> /* never answered: the puller sees a broken connection */
                r[i].at = 0;
                r[i].verb = NONE;
                r[i].answer = 0;
                r[i].given = 0;
                r[i].flight = IDLE
            :: else
            fi
        }
        i = 0;
        check()
       }
    od
}

/* ---- the recipient's site ------------------------------------------------------------------------------ */

inline job_enter(i, to)
{
    d_step {
        RULE(TABLE, r[i].job == JOB_NONE || JOB_MAY(r[i].job, to));
        step_from = r[i].job;
        step_to = to;
        c_code { remark_step(1, now.step_from, now.step_to); };
        step_from = 0;
        step_to = 0;
        r[i].job = to
    }
}

inline ask(i, word)
{
    r[i].verb = word;
    r[i].at = SENT;
    r[i].flight = ASKED
}

/* The exchange is over, however. */
inline over(i)
{
    r[i].verb = NONE;
    r[i].at = 0;
    r[i].answer = 0;
    r[i].flight = IDLE
}

/* What was still on its way when its puller died or gave up may come to be served, or not. */
inline give_up(i)
{
    if
    :: r[i].at == SENT -> r[i].late = r[i].verb
    :: true
    fi;
    over(i);
    r[i].given = 0
}

proctype receiver(byte i)
{
end:
    do
    /* a stub */
    :: atomic {
        r[i].stub ->
        if
        :: r[i].job == JOB_NONE ->
            if
            :: job_enter(i, JOB_WAITING) /* admitted */
            :: job_enter(i, JOB_HELD)    /* a contact attempt */
            :: job_enter(i, JOB_REFUSED) /* denied, and told */
            :: true                      /* denied in silence, or refused in SMTP: it bounces */
            fi
        :: r[i].job == JOB_HELD ->
            if
            :: job_enter(i, JOB_WAITING) /* admitted by now */
            :: job_enter(i, JOB_REFUSED)
            :: true
            fi
        :: r[i].job == JOB_ACKED && r[i].digest != 0 -> job_enter(i, JOB_DELIVERED) /* the ack was not heard */
        :: r[i].job == JOB_NACKED -> job_enter(i, JOB_REFUSED)
        :: else
        fi
       }
    /* the owner's word, also while his letter's sender is being told */
    :: atomic {
        r[i].job == JOB_HELD ->
        if
        :: job_enter(i, JOB_WAITING)
        :: job_enter(i, JOB_REFUSED)
        :: job_enter(i, JOB_FAILED)
        fi
       }
    /* a flight begins */
    :: atomic { r[i].flight == IDLE && r[i].job == JOB_HELD -> ask(i, STATUS) }
    :: atomic { r[i].flight == IDLE && r[i].job == JOB_WAITING -> ask(i, CLAIM) }
    :: atomic { r[i].flight == IDLE && r[i].job == JOB_DELIVERED -> ask(i, ACK) }
    :: atomic { r[i].flight == IDLE && r[i].job == JOB_REFUSED -> ask(i, NACK) }
    /* its time is over */
    :: atomic {
        r[i].flight == IDLE && (r[i].job == JOB_HELD || r[i].job == JOB_WAITING || r[i].job == JOB_DELIVERED ||
                                r[i].job == JOB_REFUSED) ->
        if
        :: r[i].job == JOB_DELIVERED -> job_enter(i, JOB_ACKED)
        :: r[i].job == JOB_REFUSED -> job_enter(i, JOB_NACKED)
        :: else -> job_enter(i, JOB_FAILED)
        fi
       }
    /* an answer */
    :: atomic {
        r[i].flight == ASKED && r[i].at == ANSWERED ->
        if
        :: r[i].verb == CLAIM && r[i].answer == OK ->
            over(i);
            assert(r[i].job == JOB_WAITING);
#ifdef BREAK_ACK_BEFORE_250
            job_enter(i, JOB_DELIVERED);
            r[i].digest = r[i].given;
#endif
            r[i].flight = SPOOLED
        :: r[i].verb == ACK && r[i].answer == OK ->
            if
#ifdef BREAK_ACK_BEFORE_MARK
            :: r[i].job == JOB_WAITING -> job_enter(i, JOB_ACKED)
#endif
            :: r[i].job == JOB_DELIVERED -> job_enter(i, JOB_ACKED)
            :: else
            fi;
            over(i)
        :: r[i].verb == NACK && r[i].answer == OK ->
            if
            :: r[i].job == JOB_REFUSED -> job_enter(i, JOB_NACKED)
            :: else
            fi;
            over(i)
        :: r[i].answer == GONE || r[i].answer == GONE_AS_ACKED ->
            if
            :: r[i].job == JOB_HELD || r[i].job == JOB_WAITING ->
                if
                :: r[i].answer == GONE_AS_ACKED -> job_enter(i, JOB_ACKED)
                :: else -> job_enter(i, JOB_FAILED)
                fi
            :: r[i].job == JOB_DELIVERED -> job_enter(i, JOB_ACKED)
            :: r[i].job == JOB_REFUSED && r[i].verb == NACK -> job_enter(i, JOB_NACKED)
            :: r[i].job == JOB_REFUSED && r[i].verb != NACK -> job_enter(i, JOB_FAILED)
            :: else
            fi;
            over(i)
        :: else -> over(i) /* told, or later */
        fi
       }
#ifdef LIMIT_MTA_CHANGES_ITS_MIND
    :: d_step { r[i].mta == TAKES_IT -> r[i].mta = NEVER_TAKES_IT }
#endif
    /* the letter and the MTA */
    :: atomic {
        r[i].flight == SPOOLED ->
        decide(r[i].mta);
        if
        :: r[i].mta == TAKES_IT ->
            taken(r[i].given);
            if
            :: r[i].flight = TAKEN
            :: r[i].flight = IDLE; /* its 250 was lost */
               r[i].given = 0;
               excuse = 1
            fi
        :: r[i].mta == NEVER_TAKES_IT ->
            job_enter(i, JOB_REFUSED);
            r[i].flight = IDLE;
            r[i].given = 0
        :: r[i].flight = IDLE; /* 4xx */
           r[i].given = 0
        fi
       }
    /* the done mark, and only then is an ack due */
    :: atomic {
        r[i].flight == TAKEN ->
#ifdef BREAK_ACK_BEFORE_MARK
        r[i].digest = r[i].given;
        ask(i, ACK);
#else
#ifndef BREAK_ACK_BEFORE_250
        job_enter(i, JOB_DELIVERED);
        r[i].digest = r[i].given;
#endif
        r[i].flight = IDLE;
#endif
        r[i].given = 0
       }
    /* it gives up waiting; or the network loses request or answer */
    :: atomic { r[i].flight == ASKED -> give_up(i) }
    /* it dies, and comes back */
    :: atomic {
        r[i].flight == SPOOLED || r[i].flight == TAKEN ->
        if
        :: r[i].flight == TAKEN -> excuse = 1
        :: else
        fi;
        r[i].flight = IDLE;
        r[i].given = 0
       }
    od
}

init {
    atomic {
        mem.holder = NOBODY;
        dur.holder = NOBODY;
        r[0].job = JOB_NONE;
        r[1].job = JOB_NONE;
        run sender();
        run receiver(0);
#ifndef ONE_RECEIVER
        run receiver(1)
#endif
    }
}
