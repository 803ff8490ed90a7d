/* Hexadecimal digits over parts of a message: the token of our Record-Route (dialog/token.py), and the hash by which loops
   are found (proxy/loop.py). The hashing is hashlib's. */

#include "native.h"

/* Of what a hasher has taken before and these octets, which it takes: NULL is a failure before. */
static PyObject *digits(State *state, PyObject *hasher, PyObject *octets)
{
    PyObject *made = NULL, *own = octets == NULL ? NULL : PyObject_CallMethodNoArgs(hasher, state->copy);
    PyObject *done = own == NULL ? NULL : PyObject_CallMethodOneArg(own, state->update, octets);
    if (done != NULL)
        made = PyObject_CallMethodNoArgs(own, state->hexdigest);
    Py_XDECREF(done);
    Py_XDECREF(own);
    Py_XDECREF(octets);
    return made;
}

PyObject *native_keyed_digits(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 3 || !PyUnicode_Check(arguments[1]) || !PyUnicode_Check(arguments[2])) {
        PyErr_SetString(PyExc_TypeError, "keyed_digits() takes a hasher and two texts");
        return NULL;
    }
    Py_ssize_t length = PyUnicode_GetLength(arguments[1]);
    PyObject *text = length < 0 ? NULL : PyUnicode_FromFormat("%zd:%U%U", length, arguments[1], arguments[2]);
    PyObject *octets = text == NULL ? NULL : PyUnicode_AsEncodedString(text, "utf-8", "surrogatepass");
    Py_XDECREF(text);
    return digits(PyModule_GetState(module), arguments[0], octets);
}

/* URI, number and the lines that are not of a hop, each but the first behind an LF. NULL without an exception for text
   beyond ASCII. With `to` NULL their length alone. */
static Py_ssize_t join(const Span start[2], const Lists *lists, PyObject *of_the_hop, char *to)
{
    Py_ssize_t size = 0;
    for (Py_ssize_t at = -2; at < PyList_GET_SIZE(lists->lines); at++) {
        Span part = at < 0 ? start[at + 2] : span_of(PyList_GET_ITEM(lists->lines, at));
        PyObject *name = at < 0 ? Py_None : PyList_GET_ITEM(lists->names, at);
        int left_out = at < 0 ? 0 : PyUnicode_CheckExact(name) ? PySet_Contains(of_the_hop, name) : -1;
        if (left_out < 0 || part.start == NULL)
            return -1;
        if (left_out)
            continue;
        if (to != NULL) {
            memcpy(to + size, part.start, (size_t)LENGTH(part));
            to[size + LENGTH(part)] = '\n';
        }
        size += LENGTH(part) + 1;
    }
    return size;
}

PyObject *native_plain_loop_hash(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    State *state = PyModule_GetState(module);
    if (count != 3 || !PyAnySet_Check(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "plain_loop_hash() takes a hasher, a set and a request");
        return NULL;
    }
    Lists lists = {NULL, NULL};
    PyObject *headers = PyObject_GetAttr(arguments[2], state->headers), *made = NULL, *number = NULL, *octets = NULL;
    PyObject *cseq = headers == NULL ? NULL : PyObject_GetAttr(arguments[2], state->cseq);
    PyObject *uri = cseq == NULL ? NULL : PyObject_GetAttr(arguments[2], state->uri);
    if (uri == NULL || !PyTuple_Check(cseq) || PyTuple_GET_SIZE(cseq) != 2 || !lists_in(state, headers, &lists) ||
        (number = PyObject_Str(PyTuple_GET_ITEM(cseq, 0))) == NULL)
        goto done;
    const Span start[2] = {span_of(uri), span_of(number)};
    Py_ssize_t size = join(start, &lists, arguments[1], NULL);
    if (size < 0 || (octets = PyBytes_FromStringAndSize(NULL, size)) == NULL)
        goto done;
    join(start, &lists, arguments[1], PyBytes_AS_STRING(octets));
    if (_PyBytes_Resize(&octets, size - 1) == 0) /* without the last LF */
        made = digits(state, arguments[0], octets);
done:
    released(&lists);
    Py_XDECREF(headers);
    Py_XDECREF(cseq);
    Py_XDECREF(uri);
    Py_XDECREF(number);
    return or_none(made);
}
