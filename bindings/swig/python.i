/* Python: how texts, results and errors cross. smartvpn/_native.pyi says what comes of it.
 * Only what the limited API of Python 3.9 has is used, so that one wheel serves that and every later version. */
%{
static PyObject *error_factory = NULL;

static PyObject *text_to_python(const char *text, size_t length) {
  return PyUnicode_DecodeUTF8(text, (Py_ssize_t)length, "replace");
}

/* Raises what the factory makes of a status, and frees the error. The GIL is held. */
static void raise_status(smartvpn_status status, smartvpn_error *error) {
  const char *text = error ? smartvpn_error_text(error) : smartvpn_status_text(status);
  PyObject *words = text_to_python(text, strlen(text));
  PyObject *made = NULL;
  if (words && !error_factory) {
    PyErr_SetObject(PyExc_RuntimeError, words);
  } else if (words) {
    const char *path = error ? smartvpn_error_path(error) : "";
    PyObject *place = text_to_python(path, strlen(path));
    if (place)
      made = PyObject_CallFunction(error_factory, "iOiO", (int)status, place,
                                   error ? (int)smartvpn_error_system_errno(error) : 0, words);
    Py_XDECREF(place);
    if (made && PyExceptionInstance_Check(made))
      PyErr_SetObject((PyObject *)Py_TYPE(made), made);
    else if (made)
      PyErr_SetString(PyExc_TypeError, "the error factory made something that cannot be raised");
  }
  Py_XDECREF(made);
  Py_XDECREF(words);
  smartvpn_error_free(error);
}

#define NOTHING (Py_INCREF(Py_None), Py_None)
#define RESULT_NOTHING(result) result = NOTHING
#define RESULT_BOOL(result, value) result = PyBool_FromLong(value)
#define RESULT_INT(result, value) result = PyLong_FromLong(value)

/* Puts `value` in the place of None, or before what is there. Takes both references. */
static PyObject *add_result(PyObject *result, PyObject *value) {
  PyObject *both;
  if (result == Py_None || !value) {
    Py_XDECREF(result);
    return value;
  }
  both = PyTuple_Pack(2, value, result);
  Py_DECREF(value);
  Py_DECREF(result);
  return both;
}

static PyObject *text_out_result(const text_out *text) {
  size_t length = text_out_length(text);
  if (text->binary) return PyBytes_FromStringAndSize(*text->buf, (Py_ssize_t)length);
  return text_to_python(*text->buf, length);
}

enum { TEXT_MAY_BE_BYTES = 1, TEXT_MAY_HOLD_NUL = 2, TEXT_MAY_BE_NONE = 4 };

/* The UTF-8 of a str, which `*keep` holds until the call is over. 0, or -1 with an exception. */
static int text_in(PyObject *object, int allowed, const char **text, size_t *length, PyObject **keep) {
  char *bytes;
  Py_ssize_t size;
  *text = NULL;
  *length = 0;
  if (object == Py_None && (allowed & TEXT_MAY_BE_NONE)) return 0;
  if (PyUnicode_Check(object)) {
    *keep = PyUnicode_AsUTF8String(object);
  } else if (PyBytes_Check(object) && (allowed & TEXT_MAY_BE_BYTES)) {
    Py_INCREF(object);
    *keep = object;
  } else {
    PyErr_SetString(PyExc_TypeError, allowed & TEXT_MAY_BE_BYTES ? "a str or bytes is needed" : "a str is needed");
  }
  if (!*keep || PyBytes_AsStringAndSize(*keep, &bytes, &size) < 0) return -1;
  if (!(allowed & TEXT_MAY_HOLD_NUL) && memchr(bytes, 0, (size_t)size)) {
    PyErr_SetString(PyExc_ValueError, "embedded null character");
    return -1;
  }
  *text = bytes;
  *length = (size_t)size;
  return 0;
}
%}

%nothread set_error_factory;
%inline %{
/* What makes the exception of a failure: f(status, path, system_errno, text). None: RuntimeError. Returns the last. */
static PyObject *set_error_factory(PyObject *factory) {
  PyObject *before = error_factory;
  if (factory != Py_None && !PyCallable_Check(factory)) {
    PyErr_SetString(PyExc_TypeError, "a callable, or None, is needed");
    return NULL;
  }
  error_factory = NULL;
  if (factory != Py_None) {
    Py_INCREF(factory);
    error_factory = factory;
  }
  return before ? before : NOTHING;
}
%}

/* ---- texts in */
%define %text_argument(LENGTH, ALLOWED)
  if (text_in($input, ALLOWED, (const char **)&$1, &LENGTH, &keep) < 0) SWIG_fail;
%enddef
%typemap(in) const char * (PyObject *keep = NULL, size_t length = 0) {
  %text_argument(length, 0)
}
%typemap(in) (const char *json, size_t json_len) (PyObject *keep = NULL) {
  %text_argument($2, TEXT_MAY_BE_BYTES)
}
%typemap(in) (const char *json_or_nothing, size_t json_len) (PyObject *keep = NULL) {
  %text_argument($2, TEXT_MAY_BE_BYTES | TEXT_MAY_BE_NONE)
}
%typemap(in) (const char *text, size_t text_len) (PyObject *keep = NULL) {
  %text_argument($2, TEXT_MAY_BE_BYTES | TEXT_MAY_HOLD_NUL)
}
%typemap(freearg) const char *, (const char *json, size_t json_len), (const char *json_or_nothing, size_t json_len),
  (const char *text, size_t text_len) "Py_XDECREF(keep$argnum);"

/* ---- results */
%typemap(out) const char * "$result = $1 ? text_to_python($1, strlen($1)) : NOTHING;"
%typemap(argout) (char *buf, size_t cap, size_t *needed) {
  $result = add_result($result, text_out_result(&_global_text));
}
%define %handle_result(KIND)
%typemap(argout) smartvpn_##KIND **out {
  $result = add_result($result, SWIG_NewPointerObj(*$1, $*1_descriptor, 0));
}
%enddef
%handle_result(config)
%handle_result(server)
%handle_result(events)
%handle_result(event)
%handle_result(credentials)
%handle_result(transaction)
%handle_result(changes)
%handle_result(request)
%handle_result(stats)
%handle_result(tunnel)
%handle_result(relay)

%typemap(in, numinputs=0) uint64_t *value (uint64_t number = 0), uint64_t *revision (uint64_t number = 0)
  "$1 = &number;"
%typemap(argout) uint64_t *value, uint64_t *revision {
  $result = add_result($result, PyLong_FromUnsignedLongLong(*$1));
}

%typemap(in, numinputs=0) smartvpn_session_info *info (smartvpn_session_info filled)
  "memset(&filled, 0, sizeof filled); filled.struct_size = sizeof filled; $1 = &filled;"
%typemap(argout) smartvpn_session_info *info {
  $result = add_result($result, session_info_to_python($1));
}
%{
static PyObject *session_info_to_python(const smartvpn_session_info *info) {
#define U(field) #field, (unsigned long long)info->field
#define S(field) #field, (long long)info->field
  return Py_BuildValue("{sK,sL,sL,sK,sK,sK,sK,sK,sK,sK,sK,sK,sK,sK,sK,sL,sL}", U(id), S(since_ms), S(last_seen_ms),
                       U(inner_packets_in), U(inner_bytes_in), U(inner_packets_out), U(inner_bytes_out),
                       U(outer_bytes_in), U(outer_bytes_out), U(packets_dropped), U(rtt_us), U(rtt_min_us),
                       U(jitter_us), U(loss_ppm), U(listener), S(transport), S(health));
#undef U
#undef S
}
%}

%include "python_batches.i"
