/* Turns libuv's loop from within a callback, as a native module such as deasync does. Node-API and
 * libuv are declared here, as they are in every Node from 20. */
#include <stddef.h>
#include <stdint.h>

typedef struct napi_env__* napi_env;
typedef struct napi_value__* napi_value;
typedef struct napi_callback_info__* napi_callback_info;
typedef napi_value (*napi_callback)(napi_env, napi_callback_info);

extern int napi_get_uv_event_loop(napi_env, void**);
extern int napi_get_cb_info(napi_env, napi_callback_info, size_t*, napi_value*, napi_value*,
                            void**);
extern int napi_get_value_int32(napi_env, napi_value, int32_t*);
extern int napi_create_function(napi_env, const char*, size_t, napi_callback, void*, napi_value*);
extern int uv_run(void*, int);

/* (mode): UV_RUN_DEFAULT 0, UV_RUN_ONCE 1, UV_RUN_NOWAIT 2. */
static napi_value Turn(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value mode = NULL;
  int32_t number = 2;
  void* loop = NULL;
  napi_get_cb_info(env, info, &count, &mode, NULL, NULL);
  napi_get_value_int32(env, mode, &number);
  if (napi_get_uv_event_loop(env, &loop) == 0) uv_run(loop, number);
  return NULL;
}

int32_t node_api_module_get_api_version_v1(void) { return 8; }

napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  napi_value function = NULL;
  (void)exports;
  napi_create_function(env, "turn", 4, Turn, NULL, &function);
  return function;
}
