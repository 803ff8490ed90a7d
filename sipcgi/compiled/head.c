/* A whole message, or its head, of which all that every message needs is plain (sip/parser.py, RFC 3261 section 7). */

#include "native.h"

#define MAX_PLAIN 128            /* lines, far below MAX_HEADERS of sip/grammar.py */
#define MAX_PLAIN_OCTETS 0xffff  /* below MAX_DATAGRAM */
#define NUMBER_MOST 0xffffffffLL /* RFC 3261 20.16: a sequence number is below 2**31; grammar.number takes 2**32 - 1 */

typedef struct {
    PyObject *known, *request, *response, *headers, *cseq, *via, *address;
} Kinds;

static int is_kind(PyObject *found, PyTypeObject *base)
{
    return PyType_Check(found) && PyType_IsSubtype((PyTypeObject *)found, base);
}

/* The dictionary of names, Request, Response, Headers, CSeq, the kinds of a Via, and what parses an address. */
static int kinds_of(State *state, PyObject *found, Kinds *kinds)
{
    if (PyTuple_Check(found) && PyTuple_GET_SIZE(found) == 7) {
        *kinds = (Kinds){PyTuple_GET_ITEM(found, 0), PyTuple_GET_ITEM(found, 1), PyTuple_GET_ITEM(found, 2),
                         PyTuple_GET_ITEM(found, 3), PyTuple_GET_ITEM(found, 4), PyTuple_GET_ITEM(found, 5),
                         PyTuple_GET_ITEM(found, 6)};
        if (PyDict_Check(kinds->known) && is_kind(kinds->request, &PyBaseObject_Type) &&
            is_kind(kinds->response, &PyBaseObject_Type) && is_kind(kinds->headers, state->fields) &&
            is_kind(kinds->cseq, &PyTuple_Type))
            return 1;
    }
    PyErr_SetString(PyExc_TypeError, "kinds are the known names, Request, Response, Headers, CSeq, those of a Via, a function");
    return 0;
}

/* Cuts at each CRLF up to the first empty line, or to the end if there is none to come: `line` gets the lines, `rest`
   what follows. The number of lines; 0 for a line that is folded, or has a CR, LF or NUL in it, and for too many. */
static int cut(const char *at, const char *end, int empty_line, Span *line, const char **rest)
{
    for (int count = 0; count < MAX_PLAIN; count++) {
        const char *feed = memchr(at, '\n', (size_t)(end - at));
        const char *stop = feed == NULL ? end : feed - 1;
        if (feed == NULL ? empty_line : feed == at || *stop != '\r')
            return 0;
        if (feed != NULL && stop == at && empty_line) {
            *rest = feed + 1;
            return count;
        }
        if (stop == at || *at == ' ' || *at == '\t' || memchr(at, '\r', (size_t)(stop - at)) != NULL ||
            memchr(at, 0, (size_t)(stop - at)) != NULL)
            return 0;
        line[count] = (Span){at, stop};
        if (feed == NULL) {
            *rest = end;
            return count + 1;
        }
        at = feed + 1;
    }
    return 0;
}

/* A method as a string. */
static PyObject *method_of(State *state, Span span)
{
    for (int at = 0; at < METHODS; at++) {
        Span word = span_of(state->method_word[at]);
        if (LENGTH(word) == LENGTH(span) && memcmp(word.start, span.start, (size_t)LENGTH(span)) == 0)
            return Py_NewRef(state->method_word[at]);
    }
    return is_token(span) ? ascii(span) : NULL;
}

/* A Response with status and reason of a Status-Line (7.2). */
static PyObject *response_of(State *state, Kinds *kinds, Span line)
{
    Span status = {line.start + 8, line.start + 11};
    if (LENGTH(line) < 12 || line.start[11] != ' ')
        return NULL;
    int64_t code = number(status, 699);
    if (code < 100)
        return NULL;
    PyObject *response = new_object(state, (PyTypeObject *)kinds->response);
    if (response != NULL && set(response, state->status, PyLong_FromLongLong(code)) &&
        set(response, state->reason, text((Span){line.start + 12, line.end})))
        return response;
    Py_XDECREF(response);
    return NULL;
}

/* A Request with method and URI of a Request-Line (7.1), and where its method stands. */
static PyObject *request_of(State *state, Kinds *kinds, Span line, Span *method)
{
    const char *blank = memchr(line.start, ' ', (size_t)LENGTH(line));
    if (blank == NULL || line.end - blank < 10 || memcmp(line.end - 8, " SIP/2.0", 8) != 0)
        return NULL;
    Span uri = {blank + 1, line.end - 8};
    if (memchr(uri.start, ' ', (size_t)LENGTH(uri)) != NULL || memchr(uri.start, '\t', (size_t)LENGTH(uri)) != NULL)
        return NULL;
    *method = (Span){line.start, blank};
    PyObject *word = method_of(state, *method);
    PyObject *request = word == NULL ? NULL : new_object(state, (PyTypeObject *)kinds->request);
    if (request == NULL) {
        Py_XDECREF(word);
        return NULL;
    }
    if (set(request, state->method, word) && set(request, state->uri, text(uri)))
        return request;
    Py_DECREF(request);
    return NULL;
}

/* Which of the fields that `State` names it is; FIELDS for another one. */
static int field_of(State *state, PyObject *name)
{
    int interned = PyUnicode_CHECK_INTERNED(name);
    for (int at = 0; at < FIELDS; at++)
        if (name == state->field[at] || (!interned && PyUnicode_Compare(name, state->field[at]) == 0))
            return at;
    return FIELDS;
}

/* The canonical name of what stands before the colon of a line; without an exception NULL for a bad one. */
static PyObject *name_of(Kinds *kinds, Span spelling)
{
    PyObject *key = text(spelling), *name = NULL;
    if (key == NULL)
        return NULL;
    name = PyDict_GetItemWithError(kinds->known, key);
    if (name != NULL)
        Py_INCREF(name);
    else if (!PyErr_Occurred() && (name = PyObject_GetItem(kinds->known, key)) == NULL)
        forgiven();
    Py_DECREF(key);
    if (name != NULL && !IS_TEXT(name))
        Py_CLEAR(name);
    return name;
}

/* Headers of those lines; where the values of the fields of `State` are. NULL if one is missing (RFC 3261 8.1.1; RFC 2543
   had no Max-Forwards, and a Content-Length may be left out) or occurs twice. */
static PyObject *headers_of(State *state, Kinds *kinds, const Span *line, int count, Span *value)
{
    PyObject *names = PyList_New(count), *lines = PyList_New(count);
    if (names == NULL || lines == NULL)
        goto unusual;
    for (int at = 0; at < count; at++) {
        const char *colon = memchr(line[at].start, ':', (size_t)LENGTH(line[at]));
        if (colon == NULL)
            goto unusual;
        PyObject *name = name_of(kinds, (Span){line[at].start, colon});
        if (name == NULL)
            goto unusual;
        PyList_SET_ITEM(names, at, name);
        PyObject *whole = text(line[at]);
        if (whole == NULL)
            goto unusual;
        PyList_SET_ITEM(lines, at, whole);
        int field = field_of(state, name);
        if (field < FIELDS) {
            if (value[field].start == NULL)
                value[field] = stripped((Span){colon + 1, line[at].end});
            else if (field != VIA)
                goto unusual;
        }
    }
    for (int at = VIA; at <= CSEQ; at++)
        if (value[at].start == NULL)
            goto unusual;
    return fields_of((PyTypeObject *)kinds->headers, names, lines);
unusual:
    Py_XDECREF(names);
    Py_XDECREF(lines);
    return NULL;
}

/* From or To of a request; one that does not parse is refused when it is asked for. */
static int set_address(Kinds *kinds, PyObject *message, PyObject *name, Span value)
{
    PyObject *string = value.start == value.end ? NULL : text(value);
    if (string == NULL)
        return !PyErr_Occurred();
    PyObject *address = PyObject_CallOneArg(kinds->address, string);
    Py_DECREF(string);
    return address == NULL ? forgiven() : set(message, name, address);
}

/* Sets what nearly all that handle a message ask for; other forms, and errors, are found when they are asked for. */
static int set_typed(State *state, Kinds *kinds, PyObject *message, const Span *value, int is_request)
{
    if (value[CALL_ID].start < value[CALL_ID].end && !set(message, state->call_id, text(value[CALL_ID])))
        return 0;
    if (is_request && value[MAX_FORWARDS].start != NULL) { /* RFC 3261 20.22: 0 to 255 */
        int64_t hops = number(value[MAX_FORWARDS], 255);
        if (hops >= 0 && !set(message, state->max_forwards, PyLong_FromLongLong(hops)))
            return 0;
    }
    if (is_request && !(set_address(kinds, message, state->from_, value[FROM]) &&
                        set_address(kinds, message, state->to, value[TO])))
        return 0;
    PyObject *via = via_of(state, kinds->via, value[VIA]);
    return via == NULL ? !PyErr_Occurred() : set(message, state->via, via);
}

/* The CSeq (RFC 3261 20.16), which has the method of the request (8.1.1.5). */
static int set_cseq(State *state, Kinds *kinds, PyObject *message, Span value, Span method)
{
    const char *blank = memchr(value.start, ' ', (size_t)LENGTH(value));
    if (blank == NULL)
        return 0;
    Span word = {blank + 1, value.end};
    int64_t sequence = number((Span){value.start, blank}, NUMBER_MOST);
    if (sequence < 0 || (method.start != NULL && (LENGTH(word) != LENGTH(method) ||
                                                  memcmp(word.start, method.start, (size_t)LENGTH(word)) != 0)))
        return 0;
    PyTypeObject *kind = (PyTypeObject *)kinds->cseq;
    PyObject *name = method_of(state, word), *digits = PyLong_FromLongLong(sequence);
    PyObject *cseq = name == NULL || digits == NULL ? NULL : kind->tp_alloc(kind, 2);
    if (cseq == NULL) {
        Py_XDECREF(name);
        Py_XDECREF(digits);
        return 0;
    }
    PyTuple_SET_ITEM(cseq, 0, digits);
    PyTuple_SET_ITEM(cseq, 1, name);
    return set(message, state->cseq, cseq);
}

/* The message of those lines without body, and its Content-Length, -1 for none. */
static PyObject *message_of(State *state, Kinds *kinds, const Span *line, int count, int64_t *length)
{
    Span method = {NULL, NULL}, value[FIELDS] = {{NULL, NULL}};
    int is_response = LENGTH(line[0]) >= 8 && memcmp(line[0].start, "SIP/2.0 ", 8) == 0;
    PyObject *message = is_response ? response_of(state, kinds, line[0]) : request_of(state, kinds, line[0], &method);
    if (message == NULL)
        return NULL;
    PyObject *headers = headers_of(state, kinds, line + 1, count - 1, value);
    *length = value[CONTENT_LENGTH].start == NULL ? -1 : number(value[CONTENT_LENGTH], NUMBER_MOST);
    if (headers == NULL || !set(message, state->headers, headers) ||
        (value[CONTENT_LENGTH].start != NULL && *length < 0) ||
        !set_cseq(state, kinds, message, value[CSEQ], method) || !set_typed(state, kinds, message, value, !is_response))
        Py_CLEAR(message);
    return message;
}

static int taken(State *state, PyObject *octets, PyObject *found, Kinds *kinds, Span *span)
{
    if (!PyBytes_Check(octets) || PyBytes_GET_SIZE(octets) > MAX_PLAIN_OCTETS)
        return 0;
    span->start = PyBytes_AS_STRING(octets);
    span->end = span->start + PyBytes_GET_SIZE(octets);
    return kinds_of(state, found, kinds);
}

static int are_two(Py_ssize_t count)
{
    if (count != 2)
        PyErr_SetString(PyExc_TypeError, "octets and kinds are expected");
    return count == 2;
}

/* The message in a datagram, and whether it is a response; NULL, without an exception, when it is not plain. */
PyObject *plain_message(State *state, PyObject *octets, PyObject *found, int *is_response)
{
    Kinds kinds;
    Span span, line[MAX_PLAIN];
    int64_t length;
    if (!taken(state, octets, found, &kinds, &span))
        return NULL;
    while (LENGTH(span) >= 2 && memcmp(span.start, "\r\n", 2) == 0) /* RFC 3261 7.5 */
        span.start += 2;
    Span body = {NULL, span.end};
    int lines = cut(span.start, span.end, 1, line, &body.start);
    PyObject *message = lines == 0 ? NULL : message_of(state, &kinds, line, lines, &length);
    if (message != NULL) {
        if (length > LENGTH(body)) /* RFC 3261 18.3 */
            Py_CLEAR(message);
        else {
            if (length >= 0) /* RFC 3261 18.3: what follows is discarded */
                body.end = body.start + length;
            if (!set(message, state->body, PyBytes_FromStringAndSize(body.start, LENGTH(body))))
                Py_CLEAR(message);
        }
    }
    *is_response = message != NULL && (PyObject *)Py_TYPE(message) == kinds.response;
    return message;
}

PyObject *native_plain_message(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    int is_response;
    return or_none(are_two(count) ? plain_message(PyModule_GetState(module), arguments[0], arguments[1], &is_response) : NULL);
}

/* Of a head without the CRLFs that end it: the message without body, and its Content-Length or None. */
PyObject *native_plain_head(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    State *state = PyModule_GetState(module);
    Kinds kinds;
    Span span, line[MAX_PLAIN];
    int64_t length;
    const char *rest;
    if (!are_two(count) || !taken(state, arguments[0], arguments[1], &kinds, &span))
        return or_none(NULL);
    int lines = cut(span.start, span.end, 0, line, &rest);
    PyObject *message = lines == 0 ? NULL : message_of(state, &kinds, line, lines, &length);
    if (message == NULL || !set(message, state->body, PyBytes_FromStringAndSize(NULL, 0))) {
        Py_XDECREF(message);
        return or_none(NULL);
    }
    PyObject *size = length < 0 ? Py_NewRef(Py_None) : PyLong_FromLongLong(length);
    PyObject *pair = size == NULL ? NULL : PyTuple_Pack(2, message, size);
    Py_DECREF(message);
    Py_XDECREF(size);
    return pair;
}
