/* A call of a dataclass with slots, or of a NamedTuple, without a bytecode (quick.py). Whatever arguments do not fit go to
   its own __init__ or __new__, which says so. */

#include "native.h"

#define RECIPE "sipcgi.compiled.recipe"

typedef struct {
    PyObject *name, *otherwise; /* a default, or what makes one; NULL: it must be given */
    Py_ssize_t offset;
    int makes;
} Field;

typedef struct {
    PyObject *kind;          /* borrowed: it has the recipe */
    Py_ssize_t items, count; /* of a tuple; of fields */
    Field fields[];
} Recipe;

#define SLOT(made, field) (*(PyObject **)((char *)(made) + (field)->offset))

static PyObject *by_python(PyObject *kind, PyObject *const *arguments, Py_ssize_t count, PyObject *names)
{
    PyObject *given = PyTuple_New(count), *named = PyDict_New(), *made = NULL;
    int failed = given == NULL || named == NULL;
    for (Py_ssize_t at = 0; !failed && at < count; at++)
        PyTuple_SET_ITEM(given, at, Py_NewRef(arguments[at]));
    for (Py_ssize_t at = 0; !failed && names != NULL && at < PyTuple_GET_SIZE(names); at++)
        failed = PyDict_SetItem(named, PyTuple_GET_ITEM(names, at), arguments[count + at]) < 0;
    if (!failed)
        made = PyType_Type.tp_call(kind, given, named);
    Py_XDECREF(given);
    Py_XDECREF(named);
    return made;
}

/* Names are interned, and come in the order of the fields mostly. */
static int put_named(Recipe *recipe, PyObject *made, Py_ssize_t count, PyObject *names, PyObject *const *values)
{
    Py_ssize_t next = count;
    for (Py_ssize_t at = 0; at < PyTuple_GET_SIZE(names); at++) {
        Py_ssize_t left = recipe->count;
        for (; left > 0 && (next == recipe->count || recipe->fields[next].name != PyTuple_GET_ITEM(names, at)); left--)
            next = next < recipe->count ? next + 1 : 0;
        if (left == 0 || SLOT(made, &recipe->fields[next]) != NULL)
            return 0;
        SLOT(made, &recipe->fields[next]) = Py_NewRef(values[at]);
    }
    return 1;
}

/* 0 without an exception when one is missing. */
static int put_others(Recipe *recipe, PyObject *made, Py_ssize_t count)
{
    for (Field *field = recipe->fields + count; field < recipe->fields + recipe->count; field++) {
        if (SLOT(made, field) != NULL)
            continue;
        if (field->otherwise == NULL)
            return 0;
        PyObject *value = field->makes ? PyObject_CallNoArgs(field->otherwise) : Py_NewRef(field->otherwise);
        if (value == NULL)
            return 0;
        SLOT(made, field) = value;
    }
    return 1;
}

static PyObject *quick_call(PyObject *kind, PyObject *const *arguments, size_t flags, PyObject *names)
{
    State *state = PyType_GetModuleState((PyTypeObject *)kind);
    PyObject *kept = state == NULL ? NULL : PyDict_GetItemWithError(((PyTypeObject *)kind)->tp_dict, state->__recipe__);
    Recipe *recipe = kept == NULL ? NULL : PyCapsule_GetPointer(kept, RECIPE);
    Py_ssize_t count = PyVectorcall_NARGS(flags);
    if (recipe == NULL || recipe->kind != kind || count > recipe->count)
        return PyErr_Occurred() ? NULL : by_python(kind, arguments, count, names);
    Py_INCREF(kept);
    PyObject *made = ((PyTypeObject *)kind)->tp_alloc((PyTypeObject *)kind, recipe->items);
    for (Py_ssize_t at = 0; made != NULL && at < count; at++)
        SLOT(made, &recipe->fields[at]) = Py_NewRef(arguments[at]);
    if (made != NULL && ((names != NULL && !put_named(recipe, made, count, names, arguments + count)) || !put_others(recipe, made, count)))
        Py_CLEAR(made);
    Py_DECREF(kept);
    return made != NULL || PyErr_Occurred() ? made : by_python(kind, arguments, count, names);
}

static void discard(PyObject *kept)
{
    Recipe *recipe = PyCapsule_GetPointer(kept, RECIPE);
    for (Field *field = recipe->fields; field < recipe->fields + recipe->count; field++) {
        Py_XDECREF(field->name);
        Py_XDECREF(field->otherwise);
    }
    PyMem_Free(recipe);
}

static int is_slot(PyTypeObject *kind, PyObject *member)
{
    return Py_IS_TYPE(member, &PyMemberDescr_Type) && PyType_IsSubtype(kind, PyDescr_TYPE(member)) &&
           ((PyMemberDescrObject *)member)->d_member->type == T_OBJECT_EX;
}

/* `part` is the name, then its default, or what makes one and True. */
static int describe(Field *field, PyTypeObject *kind, PyObject *part, Py_ssize_t at)
{
    if (!PyArg_ParseTuple(part, "U|Op:quick", &field->name, &field->otherwise, &field->makes)) {
        field->name = field->otherwise = NULL;
        return 0;
    }
    Py_INCREF(field->name);
    Py_XINCREF(field->otherwise);
    PyUnicode_InternInPlace(&field->name);
    if (PyType_IsSubtype(kind, &PyTuple_Type)) {
        field->offset = (Py_ssize_t)(offsetof(PyTupleObject, ob_item) + (size_t)at * sizeof(PyObject *));
        return 1;
    }
    PyObject *member = PyObject_GetAttr((PyObject *)kind, field->name);
    if (member != NULL && is_slot(kind, member))
        field->offset = ((PyMemberDescrObject *)member)->d_member->offset;
    else if (member != NULL)
        PyErr_Format(PyExc_TypeError, "%U is no slot", field->name);
    Py_XDECREF(member);
    return !PyErr_Occurred();
}

/* Whether a call of it only makes it and fills it. */
static int is_simple(PyTypeObject *kind)
{
    return Py_IS_TYPE(kind, &PyType_Type) && kind->tp_flags & Py_TPFLAGS_HEAPTYPE && kind->tp_vectorcall == NULL &&
           ((PyHeapTypeObject *)kind)->ht_module == NULL &&
           (kind->tp_base == &PyTuple_Type || kind->tp_new == PyBaseObject_Type.tp_new);
}

PyObject *native_quick(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 2 || !PyType_Check(arguments[0]) || !is_simple((PyTypeObject *)arguments[0]) || !PyTuple_Check(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "quick() takes a class that is simply made, and its fields");
        return NULL;
    }
    State *state = PyModule_GetState(module);
    PyTypeObject *kind = (PyTypeObject *)arguments[0];
    Py_ssize_t fields = PyTuple_GET_SIZE(arguments[1]);
    Recipe *recipe = PyMem_Calloc(1, sizeof(Recipe) + (size_t)fields * sizeof(Field));
    if (recipe == NULL)
        return PyErr_NoMemory();
    PyObject *kept = PyCapsule_New(recipe, RECIPE, discard);
    if (kept == NULL) {
        PyMem_Free(recipe);
        return NULL;
    }
    recipe->kind = arguments[0];
    recipe->count = fields;
    recipe->items = PyType_IsSubtype(kind, &PyTuple_Type) ? fields : 0;
    int failed = 0;
    for (Py_ssize_t at = 0; !failed && at < fields; at++)
        failed = !describe(&recipe->fields[at], kind, PyTuple_GET_ITEM(arguments[1], at), at);
    failed = failed || PyObject_SetAttr((PyObject *)kind, state->__recipe__, kept) < 0;
    Py_DECREF(kept);
    if (failed)
        return NULL;
    ((PyHeapTypeObject *)kind)->ht_module = Py_NewRef(module);
    kind->tp_vectorcall = quick_call;
    Py_RETURN_NONE;
}
