/* Octets and the text they make (RFC 3261 25.1). */

#include "native.h"

#define T TOKEN
#define V VALUE
#define U URI
#define S USER
/* VALUE is what params.py calls plain: all that is visible but `"`, ",", ";", "<" and ">". URI is its paramchar, USER what
   uri.py takes in a user part without escapes. */
const uint8_t octet_class[256] = {
    ['!'] = T | V | U | S, ['#'] = V | S, ['$'] = V | U | S, ['%'] = T | V | U, ['&'] = V | U | S, ['\''] = T | V | U | S,
    ['('] = V | U | S, [')'] = V | U | S, ['*'] = T | V | U | S, ['+'] = T | V | U | S, [','] = S, ['-'] = T | V | U | S,
    ['.'] = T | V | U | S, ['/'] = V | U | S, ['0' ... '9'] = T | V | U | S | DIGIT, [':'] = V | U, [';'] = S, ['='] = V | S,
    ['?'] = V | S, ['@'] = V, ['A' ... 'Z'] = T | V | U | S, ['['] = V | U, ['\\'] = V, [']'] = V | U, ['^'] = V,
    ['_'] = T | V | U | S, ['`'] = T | V, ['a' ... 'z'] = T | V | U | S, ['{'] = V, ['|'] = V, ['}'] = V, ['~'] = T | V | U | S,
};

int is_token(Span span)
{
    for (const char *at = span.start; at < span.end; at++)
        if (!IS(*at, TOKEN))
            return 0;
    return span.start < span.end;
}

/* The value of one to ten digits; -1 for anything else and above `most`. */
int64_t number(Span span, int64_t most)
{
    int64_t value = 0;
    if (LENGTH(span) < 1 || LENGTH(span) > 10)
        return -1;
    for (const char *at = span.start; at < span.end; at++) {
        if (!IS(*at, DIGIT))
            return -1;
        value = 10 * value + (*at - '0');
    }
    return value <= most ? value : -1;
}

Span stripped(Span span)
{
    while (span.start < span.end && (*span.start == ' ' || *span.start == '\t'))
        span.start++;
    while (span.start < span.end && (span.end[-1] == ' ' || span.end[-1] == '\t'))
        span.end--;
    return span;
}

/* Of octets that are known to be ASCII. */
PyObject *ascii(Span span)
{
    PyObject *made = PyUnicode_New(LENGTH(span), 127);
    if (made != NULL)
        memcpy(PyUnicode_1BYTE_DATA(made), span.start, (size_t)LENGTH(span));
    return made;
}

/* Of octets that are known to be ASCII, in lower case. */
PyObject *lower(Span span)
{
    PyObject *made = PyUnicode_New(LENGTH(span), 127);
    if (made != NULL)
        for (Py_ssize_t at = 0; at < LENGTH(span); at++)
            PyUnicode_1BYTE_DATA(made)[at] = (Py_UCS1)Py_TOLOWER(span.start[at]);
    return made;
}

/* Of any octets, so that they survive the round trip. */
PyObject *text(Span span)
{
    return PyUnicode_DecodeUTF8(span.start, LENGTH(span), "surrogateescape");
}

/* The octets of a string in ASCII; without start for another one, or what is no string. */
Span span_of(PyObject *string)
{
    if (!IS_TEXT(string) || !PyUnicode_IS_COMPACT_ASCII(string))
        return (Span){NULL, NULL};
    const char *start = (const char *)PyUnicode_1BYTE_DATA(string);
    return (Span){start, start + PyUnicode_GET_LENGTH(string)};
}

/* Names of fields are nearly always the same object. */
int same_text(PyObject *one, PyObject *other)
{
    if (one == other)
        return 1;
    return IS_TEXT(one) && IS_TEXT(other) &&
           PyUnicode_GET_LENGTH(one) == PyUnicode_GET_LENGTH(other) && PyUnicode_Compare(one, other) == 0;
}

/* One whose __init__ is not called. */
PyObject *new_object(State *state, PyTypeObject *kind)
{
    if (kind->tp_new != NULL)
        return kind->tp_new(kind, state->empty, NULL);
    PyErr_Format(PyExc_TypeError, "cannot make a %s", kind->tp_name);
    return NULL;
}

/* Takes the value, of which NULL is a failure before. */
int set(PyObject *object, PyObject *name, PyObject *taken)
{
    int failed = taken == NULL || PyObject_SetAttr(object, name, taken) < 0;
    Py_XDECREF(taken);
    return !failed;
}

PyObject *or_none(PyObject *found)
{
    if (found == NULL && !PyErr_Occurred())
        Py_RETURN_NONE;
    return found;
}

/* After a call of Python that refused: its exception is forgotten, for the Python way finds it again. Returns 0 for one
   that must go on, as KeyboardInterrupt. */
int forgiven(void)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception) || PyErr_ExceptionMatches(PyExc_MemoryError))
        return 0;
    PyErr_Clear();
    return 1;
}
