/* A request to a FastCGI program in one piece, and its answer at a glance (hosts/fastcgi_records.py). */

#include "native.h"

#define HEADER 8
#define MOST 65535 /* octets of content in a record */

enum { PARAMS = 4, STDIN = 5 };

static char *put(char *to, const char *from, Py_ssize_t size)
{
    memcpy(to, from, (size_t)size);
    return to + size;
}

/* The header of a record of request 1, without padding (FastCGI 3.3). */
static char *put_header(char *to, int kind, Py_ssize_t size)
{
    const char header[HEADER] = {1, (char)kind, 0, 1, (char)(size >> 8), (char)size, 0, 0};
    return put(to, header, HEADER);
}

/* The length of a name or a value (3.4); no content of a record is so long that more than two octets count. */
static char *put_length(char *to, Py_ssize_t size)
{
    if (size > 127) {
        *to++ = (char)0x80;
        *to++ = 0;
        *to++ = (char)(size >> 8);
    }
    *to++ = (char)size;
    return to;
}

/* Octets of names and values with their lengths; 0 if they are not all ASCII, or too many for a record. */
static Py_ssize_t size_of(PyObject *variables)
{
    PyObject *name, *value;
    Py_ssize_t next = 0, size = 0;
    while (size <= MOST && PyDict_Next(variables, &next, &name, &value)) {
        Span first = span_of(name), second = span_of(value);
        if (first.start == NULL || second.start == NULL)
            return 0;
        size += LENGTH(first) + LENGTH(second) + (LENGTH(first) > 127 ? 4 : 1) + (LENGTH(second) > 127 ? 4 : 1);
    }
    return size <= MOST ? size : 0;
}

PyObject *native_plain_request(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    static const char begin[] = {1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0}; /* of a responder; the connection stays */
    (void)module;
    if (count != 2 || !PyDict_CheckExact(arguments[0]) || !PyBytes_CheckExact(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "plain_request() takes variables and a body");
        return NULL;
    }
    Py_ssize_t size = size_of(arguments[0]), body = PyBytes_GET_SIZE(arguments[1]), next = 0;
    if (size == 0 || body > MOST)
        Py_RETURN_NONE;
    Py_ssize_t all = (Py_ssize_t)sizeof begin + HEADER + size + HEADER + HEADER + body + (body > 0 ? HEADER : 0);
    PyObject *made = PyBytes_FromStringAndSize(NULL, all), *name, *value;
    if (made == NULL)
        return NULL;
    char *to = put_header(put(PyBytes_AS_STRING(made), begin, sizeof begin), PARAMS, size);
    while (PyDict_Next(arguments[0], &next, &name, &value)) {
        Span first = span_of(name), second = span_of(value);
        to = put_length(put_length(to, LENGTH(first)), LENGTH(second));
        to = put(put(to, first.start, LENGTH(first)), second.start, LENGTH(second));
    }
    to = put_header(put_header(to, PARAMS, 0), STDIN, body);
    if (body > 0) /* else that ended it */
        put_header(put(to, PyBytes_AS_STRING(arguments[1]), body), STDIN, 0);
    return made;
}

PyObject *native_whole_output(PyObject *module, PyObject *answer)
{
    static const char ends[] = {1, 6, 0, 1, 0, 0, 0, 0, /* of standard output, which may be left out */
                                1, 3, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    const Py_ssize_t both = sizeof ends, last = both - HEADER;
    (void)module;
    if (!PyBytes_CheckExact(answer)) {
        PyErr_SetString(PyExc_TypeError, "whole_output() takes octets");
        return NULL;
    }
    const char *octets = PyBytes_AS_STRING(answer);
    Py_ssize_t left = PyBytes_GET_SIZE(answer) - HEADER, size;
    if (left < 0 || memcmp(octets, ends, 4) != 0)
        Py_RETURN_NONE;
    size = (uint8_t)octets[4] << 8 | (uint8_t)octets[5];
    left -= size + (uint8_t)octets[6];
    const char *end = octets + PyBytes_GET_SIZE(answer) - left;
    if (!((left == both && memcmp(end, ends, (size_t)both) == 0) ||
          (left == last && memcmp(end, ends + HEADER, (size_t)last) == 0)))
        Py_RETURN_NONE;
    return PyBytes_FromStringAndSize(octets + HEADER, size);
}
