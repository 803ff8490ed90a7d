/* A request that came: whether it is sound (proxy/validate.py), and without our own Route (proxy/route.py). */

#include "native.h"

/* What a request has of that name; NULL without an exception when Python refuses it. */
static PyObject *part_of(PyObject *request, PyObject *name)
{
    PyObject *found = PyObject_GetAttr(request, name);
    if (found == NULL)
        forgiven();
    return found;
}

static int has(PyObject *request, PyObject *name)
{
    PyObject *found = part_of(request, name);
    Py_XDECREF(found);
    return found != NULL;
}

/* SipUri, and a request. True if all that 16.3 asks for is there, the URI is of that kind, and no Proxy-Require has to be
   looked into; else None. */
PyObject *native_plain_validate(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    State *state = PyModule_GetState(module);
    if (count != 2 || !PyTuple_Check(arguments[0]) || PyTuple_GET_SIZE(arguments[0]) != 1) {
        PyErr_SetString(PyExc_TypeError, "plain_validate() takes a class and a request");
        return NULL;
    }
    PyObject *request = arguments[1], *headers = part_of(request, state->headers);
    PyObject *target = headers == NULL ? NULL : part_of(request, state->target);
    PyObject *hops = target == NULL ? NULL : part_of(request, state->max_forwards);
    Lists lists = {NULL, NULL};
    int sound = hops != NULL && (PyObject *)Py_TYPE(target) == PyTuple_GET_ITEM(arguments[0], 0) &&
                (hops == Py_None || PyObject_IsTrue(hops) == 1) && lists_in(state, headers, &lists) &&
                find(lists.names, state->proxy_require, 0) < 0 && has(request, state->via) && has(request, state->from_) &&
                has(request, state->to) && has(request, state->call_id) && has(request, state->cseq) &&
                (find(lists.names, state->route, 0) < 0 || has(request, state->routes));
    released(&lists);
    Py_XDECREF(headers);
    Py_XDECREF(target);
    Py_XDECREF(hops);
    return PyErr_Occurred() ? NULL : Py_NewRef(sound ? Py_True : Py_None);
}

/* 1 if the parameters of a URI have that one, 0 if not, -1 for an exception. */
static int has_parameter(State *state, PyObject *uri, PyObject *name)
{
    PyObject *params = PyObject_GetAttr(uri, state->params);
    int found = params == NULL ? -1 : PySequence_Contains(params, name);
    Py_XDECREF(params);
    return found;
}

/* Whether a request came by UDP from the address in its Via, and the first Contact asks for no flow (registrar/nat.py). */
int is_direct(State *state, PyObject *request, PyObject *flow)
{
    PyObject *remote = PyTuple_GET_ITEM(flow, 2);
    if (!same_text(PyTuple_GET_ITEM(flow, 0), state->transport_word[0]) || !PyTuple_Check(remote) || PyTuple_GET_SIZE(remote) != 2)
        return 0;
    PyObject *via = part_of(request, state->via), *contacts = via == NULL ? NULL : part_of(request, state->contacts);
    PyObject *host = contacts == NULL ? NULL : part_of(via, state->host), *port = host == NULL ? NULL : part_of(via, state->port);
    int direct = 0;
    if (port != NULL && PyList_CheckExact(contacts) && PyList_GET_SIZE(contacts) > 0 &&
        same_text(host, PyTuple_GET_ITEM(remote, 0))) {
        long number = port == Py_None ? 5060 : PyLong_AsLong(port), other = PyLong_AsLong(PyTuple_GET_ITEM(remote, 1));
        PyObject *contact = Py_NewRef(PyList_GET_ITEM(contacts, 0)), *uri = NULL, *params = NULL;
        if (number == other && number > 0 && (params = part_of(contact, state->params)) != NULL && PyDict_Check(params) &&
            PyDict_GET_SIZE(params) == 0 && (uri = part_of(contact, state->uri)) != NULL)
            direct = has_parameter(state, uri, state->ob) == 0;
        Py_DECREF(contact);
        Py_XDECREF(params);
        Py_XDECREF(uri);
        if (PyErr_Occurred())
            forgiven();
    }
    Py_XDECREF(via);
    Py_XDECREF(contacts);
    Py_XDECREF(host);
    Py_XDECREF(port);
    return direct && !PyErr_Occurred();
}

PyObject *native_is_direct(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 2 || !PyTuple_Check(arguments[1]) || PyTuple_GET_SIZE(arguments[1]) != 4) {
        PyErr_SetString(PyExc_TypeError, "is_direct() takes a request and a flow");
        return NULL;
    }
    int direct = is_direct(PyModule_GetState(module), arguments[0], arguments[1]);
    return PyErr_Occurred() ? NULL : PyBool_FromLong(direct);
}

/* The same request without any Route: what else was parsed stays parsed. */
static PyObject *without_routes(State *state, PyObject *request)
{
    Lists lists = {NULL, NULL}, copy = {NULL, NULL};
    PyObject *headers = PyObject_GetAttr(request, state->headers), *known = PyObject_GenericGetDict(request, NULL);
    PyObject *made = NULL, *name, *value;
    int done = headers != NULL && known != NULL && lists_in(state, headers, &lists) && copied(&lists, &copy);
    for (Py_ssize_t at = 0; done && (at = find(copy.names, state->route, at)) >= 0;)
        done = deleted(&copy, at);
    done = done && (made = new_object(state, Py_TYPE(request))) != NULL;
    for (Py_ssize_t at = 0; done && PyDict_Next(known, &at, &name, &value);)
        if (!same_text(name, state->routes) && !same_text(name, state->headers))
            done = set(made, name, Py_NewRef(value));
    if (!done || !set(made, state->headers, with_lists(headers, &copy)))
        Py_CLEAR(made);
    released(&lists);
    released(&copy);
    Py_XDECREF(headers);
    Py_XDECREF(known);
    return made;
}

/* Host and port of our entry, which is a SIP URI. */
static PyObject *socket_of(State *state, PyObject *uri)
{
    PyObject *host = PyObject_GetAttr(uri, state->host), *port = PyObject_GetAttr(uri, state->port), *made = NULL;
    Span span = host == NULL || port == NULL ? (Span){NULL, NULL} : span_of(host);
    PyObject *small = span.start == NULL ? NULL : lower(span);
    if (small != NULL)
        made = port == Py_None ? PyUnicode_FromFormat("%U:5060", small) : PyUnicode_FromFormat("%U:%S", small, port);
    Py_XDECREF(host);
    Py_XDECREF(port);
    Py_XDECREF(small);
    return made;
}

/* Takes the request, of which NULL is a failure before. */
static PyObject *found(State *state, PyTypeObject *kind, PyObject *request, PyObject *tokens, PyObject *sent_by)
{
    PyObject *made = request == NULL ? NULL : kind->tp_alloc(kind, 3);
    if (made == NULL) {
        Py_XDECREF(request);
        return NULL;
    }
    PyTuple_SET_ITEM(made, 0, request);
    PyTuple_SET_ITEM(made, 1, Py_NewRef(tokens == NULL ? state->empty : tokens));
    PyTuple_SET_ITEM(made, 2, Py_NewRef(sent_by == NULL ? state->nothing : sent_by));
    return made;
}

/* What is left of a request behind its only Route, which is `uri` and ours. */
static PyObject *behind(State *state, PyTypeObject *kind, PyObject *request, PyObject *uri)
{
    PyObject *user = PyObject_GetAttr(uri, state->user), *sent_by = user == NULL ? NULL : socket_of(state, uri);
    PyObject *tokens = sent_by == NULL ? NULL : user == Py_None ? Py_NewRef(state->empty) : PyTuple_Pack(1, user);
    PyObject *made = tokens == NULL ? NULL : found(state, kind, without_routes(state, request), tokens, sent_by);
    Py_XDECREF(user);
    Py_XDECREF(sent_by);
    Py_XDECREF(tokens);
    return made;
}

/* SipUri and Preprocessed; a request; what tells whether a URI is ours. */
PyObject *native_plain_preprocess(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    State *state = PyModule_GetState(module);
    PyObject *kinds = count == 3 ? arguments[0] : NULL;
    if (kinds == NULL || !PyTuple_Check(kinds) || PyTuple_GET_SIZE(kinds) != 2 || !PyType_Check(PyTuple_GET_ITEM(kinds, 0)) ||
        !PyType_Check(PyTuple_GET_ITEM(kinds, 1)) ||
        !PyType_IsSubtype((PyTypeObject *)PyTuple_GET_ITEM(kinds, 1), &PyTuple_Type)) {
        PyErr_SetString(PyExc_TypeError, "plain_preprocess() takes two classes, a request and a function");
        return NULL;
    }
    PyTypeObject *sip_uri = (PyTypeObject *)PyTuple_GET_ITEM(kinds, 0), *kind = (PyTypeObject *)PyTuple_GET_ITEM(kinds, 1);
    PyObject *request = arguments[1], *headers = part_of(request, state->headers), *made = NULL, *routes = NULL, *uri = NULL;
    PyObject *target = headers == NULL ? NULL : part_of(request, state->target);
    Lists lists = {NULL, NULL};
    if (target == NULL || !lists_in(state, headers, &lists))
        goto done;
    int is_sip = Py_IS_TYPE(target, sip_uri);
    if (is_sip && has_parameter(state, target, state->maddr) != 0)
        goto done;
    if (find(lists.names, state->route, 0) < 0) {
        made = found(state, kind, Py_NewRef(request), NULL, NULL);
        goto done;
    }
    if ((is_sip && has_parameter(state, target, state->lr) != 0) || (routes = part_of(request, state->routes)) == NULL ||
        !PyList_CheckExact(routes) || PyList_GET_SIZE(routes) != 1 ||
        (uri = PyObject_GetAttr(PyList_GET_ITEM(routes, 0), state->uri)) == NULL)
        goto done;
    PyObject *ours = Py_IS_TYPE(uri, sip_uri) ? PyObject_CallOneArg(arguments[2], uri) : Py_NewRef(Py_False);
    int is_ours = ours == NULL ? -1 : PyObject_IsTrue(ours);
    Py_XDECREF(ours);
    if (is_ours == 0)
        made = found(state, kind, Py_NewRef(request), NULL, NULL);
    else if (is_ours > 0)
        made = behind(state, kind, request, uri);
done:
    released(&lists);
    Py_XDECREF(headers);
    Py_XDECREF(target);
    Py_XDECREF(routes);
    Py_XDECREF(uri);
    return or_none(made);
}
