/* A request on its way through: its copy as it leaves (engine/departure.py), and what comes back (engine/passage.py). */

#include "native.h"

/* The Record-Route by which the dialog of a request comes back to us; NULL without an exception where more is to be told:
   another socket or transport on one side, or a flow to the caller. */
static PyObject *record_route_of(State *state, PyObject *core, PyObject *request, PyObject *arrival, PyObject *flow,
                                 PyObject *sent_by)
{
    if (!PyTuple_Check(arrival) || PyTuple_GET_SIZE(arrival) != 4 ||
        !same_text(PyTuple_GET_ITEM(arrival, 0), PyTuple_GET_ITEM(flow, 0)) ||
        PyObject_RichCompareBool(PyTuple_GET_ITEM(arrival, 1), PyTuple_GET_ITEM(flow, 1), Py_EQ) != 1 ||
        !is_direct(state, request, arrival)) /* which is so over UDP alone */
        return NULL;
    PyObject *tag = tag_of(state, request, state->from_), *made = NULL;
    PyObject *call_id = tag == NULL ? NULL : PyObject_GetAttr(request, state->call_id);
    PyObject *key = call_id == NULL ? NULL : PyObject_GetAttr(core, state->token_key);
    PyObject *hasher = key == NULL ? NULL : PyObject_GetAttr(key, state->dialog);
    PyObject *name = hasher == NULL ? NULL : keyed_digits(state, hasher, call_id, tag);
    if (name != NULL)
        made = PyUnicode_FromFormat("<sip:%U@%U;lr>", name, sent_by);
    Py_XDECREF(tag);
    Py_XDECREF(call_id);
    Py_XDECREF(key);
    Py_XDECREF(hasher);
    Py_XDECREF(name);
    return made;
}

/* What is called with one argument as a method of an attribute. */
static PyObject *asked(PyObject *owner, PyObject *attribute, PyObject *name, PyObject *argument)
{
    PyObject *object = PyObject_GetAttr(owner, attribute);
    PyObject *found = object == NULL ? NULL : method(name, object, argument, NULL);
    Py_XDECREF(object);
    if (found != NULL && !PyUnicode_Check(found)) {
        PyErr_SetString(PyExc_TypeError, "a text is expected");
        Py_CLEAR(found);
    }
    return found;
}

/* The copy with its Via, and the branch in that. */
static PyObject *departed(State *state, PyObject *const *given, PyObject *forward, PyObject *record_route, PyObject *sent_by)
{
    PyObject *target = given[4], *flow = given[5], *copy = NULL;
    PyObject *branch = asked(given[0], state->ids, state->branch, given[3]);
    PyObject *uri = branch == NULL ? NULL : PyObject_GetAttr(target, state->uri);
    PyObject *via = uri == NULL ? NULL
                                : PyUnicode_FromFormat("SIP/2.0/%S %U;branch=%U;rport", PyTuple_GET_ITEM(flow, 0), sent_by, branch);
    if (via != NULL) {
        PyObject *const all[] = {given[1], uri, via, record_route == NULL ? Py_None : record_route, given[6], given[7]};
        copy = PyObject_Vectorcall(forward, all, 6, NULL);
    }
    PyObject *made = copy == NULL ? NULL : PyTuple_Pack(2, copy, branch);
    Py_XDECREF(branch);
    Py_XDECREF(uri);
    Py_XDECREF(via);
    Py_XDECREF(copy);
    return made;
}

/* MAKES_DIALOG and forward; core, request, arrival, second, target, flow, edits, breadth. */
PyObject *native_plain_depart(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    State *state = PyModule_GetState(module);
    PyObject *kinds = count == 9 ? arguments[0] : NULL, *const *given = arguments + 1, *flow = count == 9 ? given[5] : NULL;
    if (kinds == NULL || !PyTuple_Check(kinds) || PyTuple_GET_SIZE(kinds) != 2 || !PyAnySet_Check(PyTuple_GET_ITEM(kinds, 0)) ||
        !PyTuple_Check(flow) || PyTuple_GET_SIZE(flow) != 4) {
        PyErr_SetString(PyExc_TypeError, "plain_depart() takes a set and a function, and what depart() takes");
        return NULL;
    }
    PyObject *core = given[0], *request = given[1], *record_route = NULL, *made = NULL;
    PyObject *word = PyObject_GetAttr(request, state->method);
    PyObject *other = word == NULL ? NULL : PyObject_GetAttr(given[4], state->flow);
    int makes = other == NULL ? -1 : PySet_Contains(PyTuple_GET_ITEM(kinds, 0), word);
    if (makes >= 0 && other == Py_None && !same_text(word, state->method_word[REGISTER])) {
        PyObject *sent_by = asked(core, state->transport, state->sent_by, flow);
        if (sent_by != NULL && makes)
            record_route = record_route_of(state, core, request, given[2], flow, sent_by);
        if (sent_by != NULL && (!makes || record_route != NULL))
            made = departed(state, given, PyTuple_GET_ITEM(kinds, 1), record_route, sent_by);
        Py_XDECREF(sent_by);
        Py_XDECREF(record_route);
    }
    Py_XDECREF(word);
    Py_XDECREF(other);
    return or_none(made);
}

/* A provisional response but 100, or a 2xx. 0 for an exception. */
static int passed_back(State *state, PyObject *passage, PyObject *response, long status, PyObject *shaped)
{
    PyObject *core = PyObject_GetAttr(passage, state->core), *timers = core == NULL ? NULL : PyObject_GetAttr(core, state->timers);
    PyObject *now = timers == NULL ? NULL : PyObject_CallMethodNoArgs(timers, state->now);
    PyObject *began = now == NULL ? NULL : PyObject_GetAttr(passage, state->began);
    PyObject *elapsed = began == NULL ? NULL : PyNumber_Subtract(now, began);
    PyObject *record = elapsed == NULL ? NULL : PyObject_GetAttr(passage, state->record);
    PyObject *server = record == NULL ? NULL : PyObject_GetAttr(passage, state->server), *done = NULL;
    if (server != NULL && status < 200) {
        PyObject *before = PyObject_GetAttr(record, state->to_180);
        if (before != NULL && PyObject_SetAttr(passage, state->renewed, now) == 0 &&
            (before != Py_None || PyObject_SetAttr(record, state->to_180, elapsed) == 0))
            done = method(state->respond, server, shaped, NULL);
        Py_XDECREF(before);
    } else if (server != NULL && set(record, state->status, PyLong_FromLong(status)) &&
               PyObject_SetAttr(record, state->to_final, elapsed) == 0 &&
               (done = method(state->respond, server, shaped, NULL)) != NULL)
        Py_SETREF(done, method(state->over, passage, response, NULL));
    Py_XDECREF(core);
    Py_XDECREF(timers);
    Py_XDECREF(now);
    Py_XDECREF(began);
    Py_XDECREF(elapsed);
    Py_XDECREF(record);
    Py_XDECREF(server);
    Py_XDECREF(done);
    return done != NULL;
}

/* Nothing; a Passage, a response, a flow. True when it has gone back. */
PyObject *native_plain_response(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    State *state = PyModule_GetState(module);
    if (count != 4) {
        PyErr_SetString(PyExc_TypeError, "plain_response() takes a Passage, a response and a flow");
        return NULL;
    }
    PyObject *passage = arguments[1], *response = arguments[2], *found = PyObject_GetAttr(response, state->status), *shaped = NULL;
    long status = found == NULL ? -1 : PyLong_AsLong(found);
    Py_XDECREF(found);
    if (status <= 100 || status >= 300)
        return or_none(NULL);
    PyObject *request = PyObject_GetAttr(passage, state->request);
    PyObject *headers = request == NULL ? NULL : PyObject_GetAttr(request, state->headers);
    if (headers != NULL)
        shaped = way_back(state, response, headers);
    Py_XDECREF(request);
    Py_XDECREF(headers);
    if (shaped == NULL)
        return or_none(NULL);
    int done = passed_back(state, passage, response, status, shaped);
    Py_DECREF(shaped);
    return done ? Py_NewRef(Py_True) : NULL;
}
