/* The access line of a transaction in its usual form (logs.py): all of it in ASCII, and no value so long that it is cut. */

#include "native.h"
#include <math.h>

#define LONGEST 1024                       /* characters of one value, as there */
#define YEAR_10000 253402300800000.0       /* milliseconds since 1970 */

typedef struct {
    char *at;
    const char *end;
} Line;

enum { TEXT, TEXTS, NUMBER, SECONDS, OR_NONE = 8 };

#define PART(key, name, form) {" " key "=", offsetof(State, name), form}

static const struct {
    const char *key;
    size_t name;
    int form;
} parts[] = {
    PART("method", method, TEXT), PART("from", from_, TEXT), PART("to", to, TEXT), PART("uri", uri, TEXT),
    PART("source", source, TEXT), PART("call_id", call_id, TEXT), PART("route", route, TEXT), PART("script", script, TEXT),
    PART("runs", runs, NUMBER), PART("script_seconds", script_seconds, SECONDS), PART("script_cpu", script_cpu, SECONDS),
    PART("script_peak_kib", script_peak_kib, NUMBER), PART("actions", actions, TEXTS), PART("targets", targets, TEXTS),
    PART("status", status, NUMBER | OR_NONE), PART("to_100", to_100, SECONDS | OR_NONE),
    PART("to_180", to_180, SECONDS | OR_NONE), PART("to_final", to_final, SECONDS | OR_NONE),
};

/* This and what follows: 0 without an exception for what is not plain. */
static int put(Line *line, const char *text)
{
    size_t size = strlen(text);
    if (size > (size_t)(line->end - line->at))
        return 0;
    memcpy(line->at, text, size);
    line->at += size;
    return 1;
}

/* With a blank between two of them, in quotes where these are needed. */
static int put_texts(Line *line, PyObject *const *texts, Py_ssize_t count)
{
    Py_ssize_t size = count - 1;
    int quoted = count > 1;
    for (Py_ssize_t at = 0; at < count; at++) {
        Span span = span_of(texts[at]);
        size += LENGTH(span);
        if (span.start == NULL || size > LONGEST)
            return 0;
        for (; span.start < span.end; span.start++) {
            if (*span.start < ' ' || *span.start > '~')
                return 0;
            quoted |= *span.start == ' ' || *span.start == '"' || *span.start == '\\';
        }
    }
    if (count == 0 || (count == 1 && size == 0))
        return put(line, "-");
    if (line->end - line->at < 2 * size + 2)
        return 0;
    if (quoted)
        *line->at++ = '"';
    for (Py_ssize_t at = 0; at < count; at++) {
        if (at > 0)
            *line->at++ = ' ';
        for (Span span = span_of(texts[at]); span.start < span.end; span.start++) {
            if (*span.start == '"' || *span.start == '\\')
                *line->at++ = '\\';
            *line->at++ = *span.start;
        }
    }
    if (quoted)
        *line->at++ = '"';
    return 1;
}

/* `width` digits at least. Neither this nor what follows asks the C library, which is a lot of code for a cold cache. */
static int put_digits(Line *line, uint64_t number, int width)
{
    char digits[24], *at = digits + sizeof(digits);
    *--at = '\0';
    for (; number > 0 || width > 0; number /= 10, width--)
        *--at = (char)('0' + number % 10);
    return put(line, at);
}

static int put_number(Line *line, PyObject *value)
{
    int overflow;
    long number = PyLong_CheckExact(value) ? PyLong_AsLongAndOverflow(value, &overflow) : -1;
    return number >= 0 && put_digits(line, (uint64_t)number, 1);
}

/* To four places; what is near to a half of the last is left to exact arithmetic: the multiplication may have rounded it. */
static int put_seconds(Line *line, PyObject *value)
{
    if (!PyFloat_CheckExact(value))
        return 0;
    double scaled = PyFloat_AS_DOUBLE(value) * 10000;
    uint64_t number = scaled >= 0 && scaled < 1e9 && !signbit(scaled) ? (uint64_t)scaled : UINT64_MAX;
    double rest = scaled - (double)number - 0.5;
    if (number < UINT64_MAX && fabs(rest) > 1e-6) {
        number += rest > 0;
        return put_digits(line, number / 10000, 1) && put(line, ".") && put_digits(line, number % 10000, 4);
    }
    char *digits = PyOS_double_to_string(PyFloat_AS_DOUBLE(value), 'f', 4, 0, NULL);
    int done = digits != NULL && put(line, digits);
    PyMem_Free(digits);
    return done;
}

static int put_value(Line *line, PyObject *value, int form)
{
    if (value == Py_None && form & OR_NONE)
        return put(line, "-");
    switch (form & ~OR_NONE) {
    case TEXT:
        return put_texts(line, &value, 1);
    case TEXTS:
        return PyList_CheckExact(value) && put_texts(line, ((PyListObject *)value)->ob_item, PyList_GET_SIZE(value));
    case NUMBER:
        return put_number(line, value);
    default:
        return put_seconds(line, value);
    }
}

/* ISO 8601; the way of Python, too, rounds half to even. All but the milliseconds is made once a second. */
static int put_time(State *state, Line *line, PyObject *wall)
{
    double milliseconds = PyFloat_CheckExact(wall) ? rint(PyFloat_AS_DOUBLE(wall) * 1000) : -1;
    if (!(milliseconds >= 0 && milliseconds < YEAR_10000))
        return 0;
    time_t second = (time_t)milliseconds / 1000;
    if (second != state->second || state->stamp[0] == '\0') {
        struct tm parts;
        state->second = second;
        strftime(state->stamp, sizeof(state->stamp), "%Y-%m-%dT%H:%M:%S.", gmtime_r(&second, &parts));
    }
    return put(line, state->stamp) && put_digits(line, (uint64_t)milliseconds % 1000, 3) && put(line, "Z access");
}

PyObject *native_line_of(PyObject *module, PyObject *entry)
{
    if (PyUnicode_Check(entry))
        return Py_NewRef(entry);
    State *state = PyModule_GetState(module);
    char octets[4096];
    Line line = {octets, octets + sizeof(octets)};
    PyObject *value = PyObject_GetAttr(entry, state->logged);
    int plain = value != NULL && put_time(state, &line, value);
    Py_XDECREF(value);
    for (size_t at = 0; plain && at < Py_ARRAY_LENGTH(parts); at++) {
        value = PyObject_GetAttr(entry, *(PyObject **)((char *)state + parts[at].name));
        plain = value != NULL && put(&line, parts[at].key) && put_value(&line, value, parts[at].form);
        Py_XDECREF(value);
    }
    if (plain && put(&line, "\n"))
        return ascii((Span){octets, line.at});
    return PyErr_Occurred() ? NULL : PyObject_CallMethodNoArgs(entry, state->line);
}
