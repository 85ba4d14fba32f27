/* Python: many events, requests or packets in one call, for speed. Buffers of the caller's are held while the library
 * works in them without the GIL: a memoryview of ours keeps a bytearray from being resized under it. */
%{
/* Of the stable ABI since 3.2, though the newest headers have it no longer; Py_buffer is of the limited API only from
 * 3.11 on. As `view` is ours alone, the address lives as long as it. */
PyAPI_FUNC(int) PyObject_AsWriteBuffer(PyObject *object, void **buffer, Py_ssize_t *length);
PyAPI_FUNC(int) PyObject_AsReadBuffer(PyObject *object, const void **buffer, Py_ssize_t *length);

/* 0, or -1 with an exception. `*view` is to be released in either case. */
static int hold_buffer(PyObject *object, int writable, PyObject **view, uint8_t **data, size_t *length) {
  void *start = NULL;
  Py_ssize_t size = 0;
  int held;
  *view = PyMemoryView_FromObject(object);
  if (!*view) return -1;
  held = writable ? PyObject_AsWriteBuffer(*view, &start, &size)
                  : PyObject_AsReadBuffer(*view, (const void **)&start, &size);
  if (held < 0) return -1;
  *data = start;
  *length = (size_t)size;
  return 0;
}

/* Where a packet's bytes are while `*view`, which may stay NULL, is held. Those of Python's own types stay until Python
 * code runs again, which it does not before the copy; others may run some when they are let go of. */
static int packet_bytes(PyObject *packet, PyObject **view, uint8_t **data, size_t *length) {
  Py_ssize_t size = 0;
  if (!PyBytes_CheckExact(packet) && !PyByteArray_CheckExact(packet) && !PyMemoryView_Check(packet))
    return hold_buffer(packet, 0, view, data, length);
  if (PyObject_AsReadBuffer(packet, (const void **)data, &size) < 0) return -1;
  *length = (size_t)size;
  return 0;
}

/* Handles of events or requests that were taken without the GIL. */
typedef struct event_batch {
  smartvpn_event **item;
  size_t count;
} event_batch;
typedef struct request_batch {
  smartvpn_request **item;
  size_t count;
} request_batch;

/* Room for one more than `count` in an array that doubles from 16. */
static int make_room(void **item, size_t count) {
  void *larger;
  if (count != 0 && (count < 16 || (count & (count - 1)) != 0)) return 1;
  larger = realloc(*item, (count < 16 ? 16 : 2 * count) * sizeof(void *));
  if (larger) *item = larger;
  return larger != NULL;
}

/* Appends (number, text) and frees nothing. 0, or -1 with an exception. */
static int append_pair(PyObject *list, PyObject *number, const char *text) {
  PyObject *json = text_to_python(text ? text : "{}", text ? strlen(text) : 2);
  PyObject *pair = number && json ? PyTuple_Pack(2, number, json) : NULL;
  int failed = !pair || PyList_Append(list, pair) < 0;
  Py_XDECREF(pair);
  Py_XDECREF(json);
  Py_XDECREF(number);
  return failed ? -1 : 0;
}

static void free_events(event_batch *batch) {
  for (size_t i = 0; i < batch->count; ++i) smartvpn_event_free(batch->item[i]);
  free(batch->item);
}

static void free_requests(request_batch *batch) {
  for (size_t i = 0; i < batch->count; ++i) smartvpn_request_free(batch->item[i]);
  free(batch->item);
}

static PyObject *events_to_python(const event_batch *batch) {
  PyObject *list = PyList_New(0);
  for (size_t i = 0; list && i < batch->count; ++i)
    if (append_pair(list, PyLong_FromLong(smartvpn_event_type(batch->item[i])),
                    smartvpn_event_json(batch->item[i])) < 0)
      Py_CLEAR(list);
  return list;
}

static PyObject *requests_to_python(const request_batch *batch) {
  PyObject *list = PyList_New(0);
  for (size_t i = 0; list && i < batch->count; ++i)
    if (append_pair(list, PyLong_FromUnsignedLongLong(smartvpn_request_token(batch->item[i])),
                    smartvpn_request_json(batch->item[i])) < 0)
      Py_CLEAR(list);
  return list;
}

/* What a batch that began with `count` items makes of the status that ended it: only an empty one fails, as whatever
 * lasts is said again next time. */
static smartvpn_status batch_status(smartvpn_status status, size_t count, smartvpn_error **err) {
  if (status >= 0 || (count == 0 && status != SMARTVPN_AGAIN)) return status;
  smartvpn_error_free(*err);
  *err = NULL;
  return SMARTVPN_OK;
}

static smartvpn_status packet_count(smartvpn_status status, size_t *count, smartvpn_error **err) {
  if (status < 0) *count = 0;
  return batch_status(status, 0, err);
}

/* Where record `index` of `meta` is. */
static smartvpn_packet *packet_at(uint8_t *meta, size_t index) {
  return (smartvpn_packet *)(void *)(meta + index * sizeof(smartvpn_packet));
}
%}

%typemap(in, numinputs=0) event_batch *taken (event_batch batch = TEXT_OUT_EMPTY),
  request_batch *taken (request_batch batch = TEXT_OUT_EMPTY) "$1 = &batch;"
%typemap(argout) event_batch *taken "$result = add_result($result, events_to_python($1));"
%typemap(argout) request_batch *taken "$result = add_result($result, requests_to_python($1));"
%typemap(freearg) event_batch *taken "free_events($1);"
%typemap(freearg) request_batch *taken "free_requests($1);"

%typemap(in) (uint8_t *arena, size_t arena_len) (PyObject *view = NULL), (uint8_t *meta, size_t meta_len)
  (PyObject *view = NULL) {
  if (hold_buffer($input, 1, &view, &$1, &$2) < 0) SWIG_fail;
}
%typemap(in) (const uint8_t *arena, size_t arena_len) (PyObject *view = NULL), (const uint8_t *meta, size_t meta_len)
  (PyObject *view = NULL) {
  if (hold_buffer($input, 0, &view, &$1, &$2) < 0) SWIG_fail;
}
%typemap(freearg) (uint8_t *arena, size_t arena_len), (uint8_t *meta, size_t meta_len),
  (const uint8_t *arena, size_t arena_len), (const uint8_t *meta, size_t meta_len) "Py_XDECREF(view$argnum);"
%typemap(in, numinputs=0) size_t *taken (size_t number = 0) "$1 = &number;"
%typemap(argout) size_t *taken "$result = add_result($result, PyLong_FromSize_t(*$1));"

%constant size_t PACKET_SIZE = sizeof(smartvpn_packet);
%constant char *PACKET_FORMAT = "NQQIIQ"; /* smartvpn_packet for the module struct, native */

%inline %{
static smartvpn_status events_take(smartvpn_events *events, size_t max, event_batch *taken, smartvpn_error **err) {
  smartvpn_status status = SMARTVPN_OK;
  *err = NULL;
  while (status >= 0 && taken->count < max) {
    if (!make_room((void **)&taken->item, taken->count)) status = SMARTVPN_NO_MEMORY;
    else status = smartvpn_events_next(events, 0, &taken->item[taken->count], err);
    if (status >= 0) ++taken->count;
  }
  /* An interrupt is for a call that has nothing else to say. */
  if (status == SMARTVPN_INTERRUPTED && taken->count) smartvpn_events_interrupt(events, NULL);
  return batch_status(status, taken->count, err);
}

static smartvpn_status requests_take(smartvpn_server *server, size_t max, request_batch *taken, smartvpn_error **err) {
  smartvpn_status status = SMARTVPN_OK;
  *err = NULL;
  while (status >= 0 && taken->count < max) {
    if (!make_room((void **)&taken->item, taken->count)) status = SMARTVPN_NO_MEMORY;
    else status = smartvpn_authorize_next(server, 0, &taken->item[taken->count], err);
    if (status >= 0) ++taken->count;
  }
  return batch_status(status, taken->count, err);
}

static smartvpn_status packets_read(smartvpn_server *server, uint8_t *arena, size_t arena_len, uint8_t *meta,
                                    size_t meta_len, size_t max, size_t *taken, smartvpn_error **err) {
  if (max > meta_len / sizeof(smartvpn_packet)) return SMARTVPN_INVALID;
  return packet_count(smartvpn_packets_read(server, arena, arena_len, packet_at(meta, 0), sizeof(smartvpn_packet), max,
                                            taken, 0, err), taken, err);
}

static smartvpn_status tunnel_packets_read(smartvpn_tunnel *tunnel, uint8_t *arena, size_t arena_len, uint8_t *meta,
                                           size_t meta_len, size_t max, size_t *taken, smartvpn_error **err) {
  if (max > meta_len / sizeof(smartvpn_packet)) return SMARTVPN_INVALID;
  return packet_count(smartvpn_tunnel_packets_read(tunnel, arena, arena_len, packet_at(meta, 0),
                                                   sizeof(smartvpn_packet), max, taken, 0, err), taken, err);
}

static smartvpn_status packets_write(smartvpn_server *server, const uint8_t *arena, size_t arena_len,
                                     const uint8_t *meta, size_t meta_len, size_t count, size_t *taken,
                                     smartvpn_error **err) {
  if (count > meta_len / sizeof(smartvpn_packet)) return SMARTVPN_INVALID;
  return packet_count(smartvpn_packets_write(server, arena, arena_len, packet_at((uint8_t *)meta, 0),
                                             sizeof(smartvpn_packet), count, taken, err), taken, err);
}

static smartvpn_status tunnel_packets_write(smartvpn_tunnel *tunnel, const uint8_t *arena, size_t arena_len,
                                            const uint8_t *meta, size_t meta_len, size_t count, size_t *taken,
                                            smartvpn_error **err) {
  if (count > meta_len / sizeof(smartvpn_packet)) return SMARTVPN_INVALID;
  return packet_count(smartvpn_tunnel_packets_write(tunnel, arena, arena_len, packet_at((uint8_t *)meta, 0),
                                                    sizeof(smartvpn_packet), count, taken, err), taken, err);
}
%}

/* Objects are made or read here, under the GIL. */
%nothread packets_slice;
%nothread packets_pack;
%inline %{
static PyObject *packets_slice(PyObject *view, const uint8_t *meta, size_t meta_len, size_t count) {
  Py_ssize_t room = PyObject_Size(view);
  PyObject *list;
  if (room < 0) return NULL;
  if (count > meta_len / sizeof(smartvpn_packet)) {
    PyErr_SetString(PyExc_ValueError, "meta holds fewer packets");
    return NULL;
  }
  list = PyList_New((Py_ssize_t)count);
  for (size_t i = 0; list && i < count; ++i) {
    smartvpn_packet packet;
    PyObject *slice = NULL;
    memcpy(&packet, meta + i * sizeof packet, sizeof packet);
    if (packet.offset > (uint64_t)room || packet.length > (uint64_t)room - packet.offset)
      PyErr_SetString(PyExc_ValueError, "a packet lies outside the arena");
    else
      slice = PySequence_GetSlice(view, (Py_ssize_t)packet.offset, (Py_ssize_t)(packet.offset + packet.length));
    if (!slice || PyList_SetItem(list, (Py_ssize_t)i, slice) < 0) Py_CLEAR(list);
  }
  return list;
}

static PyObject *packets_pack(PyObject *packets, uint8_t *arena, size_t arena_len, uint8_t *meta, size_t meta_len) {
  Py_ssize_t count = PySequence_Size(packets);
  size_t room = meta_len / sizeof(smartvpn_packet), used = 0, done = 0;
  if (count < 0) return NULL;
  if ((size_t)count < room) room = (size_t)count;
  for (; done < room; ++done) {
    PyObject *packet = PySequence_GetItem(packets, (Py_ssize_t)done);
    PyObject *view = NULL;
    uint8_t *data = NULL;
    size_t length = 0;
    smartvpn_packet record;
    int held = packet ? packet_bytes(packet, &view, &data, &length) : -1;
    int fits = held == 0 && length <= arena_len - used;
    if (held == 0 && (length == 0 || length > 65535)) {
      PyErr_SetString(PyExc_ValueError, "a packet has 1 to 65535 bytes");
      held = -1;
    }
    if (held == 0 && fits) {
      memset(&record, 0, sizeof record);
      record.struct_size = sizeof record;
      record.offset = used;
      record.length = (uint32_t)length;
      memcpy(arena + used, data, length);
      memcpy(meta + done * sizeof record, &record, sizeof record);
      used += length;
    }
    Py_XDECREF(view);
    Py_XDECREF(packet);
    if (held < 0) return NULL;
    if (!fits) break;
  }
  return PyLong_FromSize_t(done);
}
%}
