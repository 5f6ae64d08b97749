#include "arguments.h"

#include <string>

namespace asynchia {

void Arguments::Throw(const char* what) const {
  const std::string message = std::string("native call: expected ") + what;
  // Fails where an exception is pending already, which is then the one that is seen.
  Ignore(napi_throw_type_error(env_, "ERR_INVALID_ARG_TYPE", message.c_str()));
}

}  // namespace asynchia
