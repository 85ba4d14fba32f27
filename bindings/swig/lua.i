/* Lua 5.4: how texts, results and errors cross. A failure raises a table with `status`, `path`, `errno` and `text`;
 * results are results, a function without any gives none. Packets in batches are not here: Lua has no buffers. */
%{
/* Raises the table; the caller jumps to the wrapper's end, where Lua leaves it. */
#define raise_status(STATUS, ERROR) push_failure(L, STATUS, ERROR)

static void push_field(lua_State *L, const char *key, const char *text) {
  lua_pushstring(L, text);
  lua_setfield(L, -2, key);
}

static void push_failure(lua_State *L, smartvpn_status status, smartvpn_error *error) {
  lua_newtable(L);
  lua_pushinteger(L, status);
  lua_setfield(L, -2, "status");
  lua_pushinteger(L, error ? smartvpn_error_system_errno(error) : 0);
  lua_setfield(L, -2, "errno");
  push_field(L, "path", error ? smartvpn_error_path(error) : "");
  push_field(L, "text", error ? smartvpn_error_text(error) : smartvpn_status_text(status));
  smartvpn_error_free(error);
}

/* Results are pushed one by one, and SWIG_arg counts them. */
#define RESULT_NOTHING(result) (void)0
#define RESULT_BOOL(result, value) (lua_pushboolean(L, value), ++SWIG_arg)
#define RESULT_INT(result, value) (lua_pushinteger(L, value), ++SWIG_arg)
%}

/* ---- texts in */
%typemap(in, checkfn="lua_isstring") const char * "$1 = (char *)lua_tostring(L, $input);"
%typemap(in, checkfn="lua_isstring") (const char *json, size_t json_len), (const char *text, size_t text_len)
  "$1 = (char *)lua_tolstring(L, $input, &$2);"
%typemap(in, checkfn="SWIG_lua_isnilstring") (const char *json_or_nothing, size_t json_len)
  "$2 = 0; $1 = (char *)lua_tolstring(L, $input, &$2);"

/* ---- numbers: Lua 5.4 has integers of 64 bits. -1 is every bit of a mask. */
%typemap(in, checkfn="lua_isinteger") uint64_t, size_t "$1 = ($1_ltype)lua_tointeger(L, $input);"
%typemap(out) uint64_t "lua_pushinteger(L, (lua_Integer)$1); SWIG_arg++;"
%typemap(in, numinputs=0) uint64_t *value (uint64_t number = 0), uint64_t *revision (uint64_t number = 0)
  "$1 = &number;"
%typemap(argout) uint64_t *value, uint64_t *revision "lua_pushinteger(L, (lua_Integer)*$1); SWIG_arg++;"

/* ---- results */
%typemap(out) const char * "lua_pushstring(L, $1); SWIG_arg++;"
%typemap(argout) (char *buf, size_t cap, size_t *needed)
  "lua_pushlstring(L, *_global_text.buf, text_out_length(&_global_text)); SWIG_arg++;"
%define %handle_result(KIND)
%typemap(argout) smartvpn_##KIND **out "SWIG_NewPointerObj(L, *$1, $*1_descriptor, 0); SWIG_arg++;"
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

%ignore SMARTVPN_EVENTS_ALL; /* no number of Lua's; -1 is it */
%ignore smartvpn_session_get_info; /* session_get has the same as JSON */
