/* What the files of the compiled part share. `__init__.py` says what it is for.

   A function that reads what came from the network takes plain forms alone: for anything else it returns NULL without an
   exception, which Python sees as None, and then the Python way decides. So verdicts and texts of errors, and the limits
   of sip/grammar.py, are in one place; here a limit may only be narrower. */

#ifndef SIPCGI_NATIVE_H
#define SIPCGI_NATIVE_H

#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

/* Attributes that are set, and words that messages have again and again: interned once, so that they are found by identity. */
#define WORDS(_) \
    _(method) _(uri) _(headers) _(body) _(status) _(reason) _(call_id) _(max_forwards) _(text) \
    _(protocol) _(transport) _(host) _(port) _(params) _(sent_by) _(branch) _(rport) _(received) _(tag) _(lr) \
    _(scheme) _(user) _(password) _(address) _(_text) _(sip) _(sips) _(display) \
    _(names) _(lines) _(from_) _(to) _(maddr) _(bare) _(start_line) _(make) _(most) \
    _(target) _(routes) _(remove) _(copy) _(update) _(hexdigest) _(contacts) _(ob) _(token_key) _(dialog) \
    _(source) _(route) _(script) _(runs) _(script_seconds) _(script_cpu) _(script_peak_kib) _(actions) _(targets) \
    _(to_100) _(to_180) _(to_final) _(logged) _(line) _(__recipe__) \
    _(directory) _(argv) _(environment) _(given) _(resident) _(profile) _(isolation) \
    _(number) _(told) _(watched) _(stderr_lines) _(max_output) \
    _(add) _(arrived) _(awaited) _(clients) _(datagram) _(discard) _(inputs) _(invite_client) _(invite_server) \
    _(kinds) _(message) _(noninvite_client) _(noninvite_server) _(flow) _(not_sent) _(peers) _(raised) _(receive) \
    _(responded) _(response) _(send) _(sendto) _(sent_bys) _(servers) _(socket) _(stream) _(_endpoints) \
    _(handle) _(handle_several) _(next_deadline) _(now) _(poll) _(_handlers)

enum { VIA, FROM, TO, CALL_ID, CSEQ, MAX_FORWARDS, CONTENT_LENGTH, FIELDS };

#define METHODS 8
#define TRANSPORTS 7

typedef struct {
#define WORD(name) PyObject *name;
    WORDS(WORD)
#undef WORD
    PyObject *cseq, *via, *sip20, *nothing; /* "cseq" and "via" name attributes and fields; "" */
    PyObject *record_route, *max_breadth, *proxy_require; /* canonical names, too */
    PyObject *stdin_, *stdout_, *stderr_; /* which are macros without the underscore */
    PyObject *field[FIELDS];            /* canonical names */
    PyObject *method_word[METHODS];
    PyObject *transport_word[TRANSPORTS];
    PyObject *empty;                    /* () */
    PyObject *heappush, *heappop, *unreachable, *perf_counter;
    time_t second;                      /* of the latest access line, and how it begins */
    char stamp[32];
    PyTypeObject *fields, *timer, *deadlines, *walker, *starter, *side;
} State;

/* Python 3.11 has strings that are not laid out before they are looked into, though Python code makes none. */
#if PY_VERSION_HEX >= 0x030c0000
#define IS_TEXT(object) PyUnicode_Check(object)
#else
#define IS_TEXT(object) (PyUnicode_Check(object) && PyUnicode_IS_READY(object))
#endif

typedef struct {
    const char *start, *end;
} Span;

#define LENGTH(span) ((span).end - (span).start)

/* grammar.c: classes of octets (RFC 3261 25.1) */
enum { TOKEN = 1, VALUE = 2, URI = 4, DIGIT = 8, USER = 16 };
extern const uint8_t octet_class[256];
#define IS(octet, class) (octet_class[(uint8_t)(octet)] & (class))
int is_token(Span span);
int64_t number(Span span, int64_t most);
Span stripped(Span span);
PyObject *ascii(Span span);
PyObject *text(Span span);
Span span_of(PyObject *string);
int same_text(PyObject *one, PyObject *other);
PyObject *lower(Span span);
State *state_of(PyObject *object);
PyObject *new_object(State *state, PyTypeObject *kind);
int set(PyObject *object, PyObject *name, PyObject *taken);
PyObject *or_none(PyObject *found);
int forgiven(void);

/* fields.c */
extern PyType_Spec fields_spec;
PyObject *fields_of(PyTypeObject *kind, PyObject *names, PyObject *lines);
Py_ssize_t find(PyObject *names, PyObject *name, Py_ssize_t at);
PyObject *value_of(PyObject *line);

/* metavars.c */
PyObject *native_plain_variables(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

/* params.c */
PyObject *params_of(State *state, PyTypeObject *kind, Span span, int name, int value);

/* parts.c: what has parameters, its `kinds` are its class, Params, the Params of none, and what parses its other part */
typedef struct {
    PyTypeObject *kind, *params;
    PyObject *none, *parse;
} Parts;

int parts_of(PyObject *kinds, Parts *parts);
PyObject *parsed_part(Parts *parts, Span span);
PyObject *params_or_none(State *state, Parts *parts, Span span, int name, int value);

/* via.c, uri.c, address.c */
PyObject *via_of(State *state, PyObject *kinds, Span span);
PyObject *native_plain_params(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *native_plain_uri_params(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *native_plain_via(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *native_plain_sip_uri(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *native_plain_address(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

/* head.c */
PyObject *plain_message(State *state, PyObject *octets, PyObject *kinds, int *is_response);
PyObject *native_plain_message(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *native_plain_head(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

/* splice.c: both lists of a message, as long as each other */
typedef struct {
    PyObject *names, *lines;
} Lists;

int lists_in(State *state, PyObject *headers, Lists *lists);
int copied(const Lists *lists, Lists *copy);
void released(Lists *lists);
PyObject *with_lists(PyObject *headers, Lists *taken);
int inserted(Lists *lists, Py_ssize_t at, PyObject *name, PyObject *line);
int deleted(Lists *lists, Py_ssize_t at);
Py_ssize_t after_vias(State *state, const Lists *lists);
int put_on_top(State *state, Lists *lists, long hops, long breadth, PyObject *record_route, PyObject *via);
PyObject *native_ends_of(PyObject *module, PyObject *headers);
PyObject *native_forget_cgi_fields(PyObject *module, PyObject *headers);
PyObject *native_put_on_top(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *native_plain_way_back(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

/* plaincase.c, forward.c, route.c, digest.c */
extern PyType_Spec plaincase_spec;
PyObject *native_plain_forward(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *native_plain_validate(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *native_plain_preprocess(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *native_is_direct(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *native_plain_own_route(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *native_keyed_digits(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *native_plain_loop_hash(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

/* runs.c, spawn.c, attend.c */
PyObject *native_plain_start(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *native_hear(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *native_spawn(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *native_attend(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

/* fastcgi.c */
PyObject *native_plain_request(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *native_whole_output(PyObject *module, PyObject *answer);

/* lazy.c, timers.c, steps.c */
extern PyType_Spec lazy_spec, timer_spec, deadlines_spec, walker_spec, starter_spec;
PyObject *start_timer(State *state, PyObject *deadlines, double delay, PyObject *callback, PyObject *arguments);
int cancel_timer(PyObject *timer);
PyObject *native_resend_starter(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *native_timeout_starter(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

typedef struct {
    PyObject_HEAD
    PyObject *state, *row, *resend, *timeout;
    double interval;
} Walker;

int stop(PyObject **timer);
PyObject *begin(Walker *walker, PyObject *arrow);
PyObject *step(Walker *walker, PyObject *input, PyObject *message);
int walker_traverse(Walker *self, visitproc visit, void *arg);
int walker_clear(Walker *self);

/* sides.c, matching.c, arrivals.c, sending.c */
extern PyType_Spec side_spec, client_side_spec, server_side_spec, by_peer_spec, matching_spec, arrivals_spec, sender_spec,
    datagrams_spec;
PyObject *caught(PyObject *kind);
PyObject *method(PyObject *name, PyObject *object, PyObject *one, PyObject *other);

/* waiting.c */
extern PyType_Spec waiting_spec, handling_spec;

/* octets.c, remembered.c, key.c, accessline.c, quick.c */
extern PyType_Spec octets_spec, remembered_spec;
PyObject *server_key(State *state, PyObject *request);
PyObject *native_plain_server_key(PyObject *module, PyObject *request);
PyObject *native_line_of(PyObject *module, PyObject *entry);
PyObject *native_quick(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

#endif
