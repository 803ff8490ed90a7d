/* What a Via, a URI and an address have in common: parameters, and a part that Python parses and remembers. */

#include "native.h"

int parts_of(PyObject *kinds, Parts *parts)
{
    if (PyTuple_Check(kinds) && PyTuple_GET_SIZE(kinds) == 4 && PyType_Check(PyTuple_GET_ITEM(kinds, 0)) &&
        PyType_Check(PyTuple_GET_ITEM(kinds, 1)) &&
        PyType_IsSubtype((PyTypeObject *)PyTuple_GET_ITEM(kinds, 1), &PyDict_Type)) {
        *parts = (Parts){(PyTypeObject *)PyTuple_GET_ITEM(kinds, 0), (PyTypeObject *)PyTuple_GET_ITEM(kinds, 1),
                         PyTuple_GET_ITEM(kinds, 2), PyTuple_GET_ITEM(kinds, 3)};
        return 1;
    }
    PyErr_SetString(PyExc_TypeError, "kinds are a class, Params, the Params of none, a function");
    return 0;
}

/* What Python makes of that text in ASCII; NULL without an exception when it refuses. */
PyObject *parsed_part(Parts *parts, Span span)
{
    PyObject *string = ascii(span);
    if (string == NULL)
        return NULL;
    PyObject *found = PyObject_CallOneArg(parts->parse, string);
    Py_DECREF(string);
    if (found == NULL)
        forgiven();
    return found;
}

PyObject *params_or_none(State *state, Parts *parts, Span span, int name, int value)
{
    return span.start == span.end ? Py_NewRef(parts->none) : params_of(state, parts->params, span, name, value);
}
