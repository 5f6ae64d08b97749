{
  "variables": { "sanitizers%": "address,undefined" },
  "targets": [
    {
      "target_name": "asynchia",
      "sources": [
        "native/addon.cc",
        "native/addresses.cc",
        "native/arguments.cc",
        "native/backends.cc",
        "native/backends/changes.cc",
        "native/backends/epoll.cc",
        "native/backends/poll.cc",
        "native/backends/readiness.cc",
        "native/backends/select.cc",
        "native/byte_streams.cc",
        "native/constants.cc",
        "native/guest_loop.cc",
        "native/object_builder.cc",
        "native/resolver.cc",
        "native/select.cc",
        "native/signals.cc",
        "native/sockets.cc",
        "native/transfers.cc",
        "native/wakeups.cc"
      ],
      "include_dirs": ["<!@(node -p \"require('node-addon-api').include\")"],
      # A worker that is being terminated can be thrown nothing; that must not end the process.
      "defines": [
        "NAPI_VERSION=8",
        "NAPI_DISABLE_CPP_EXCEPTIONS",
        "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"
      ],
      "cflags": ["-Wall", "-Wextra"],
      "cflags_cc": ["-std=c++17", "-fno-exceptions", "-fvisibility=hidden"],
      "cflags_cc!": ["-fexceptions"],
      "configurations": {
        "Debug": {
          "cflags": ["-fsanitize=<(sanitizers)", "-fno-sanitize=vptr", "-fno-omit-frame-pointer"],
          # Not Node's copies of the C++ library's functions, into which no sanitizer sees.
          "ldflags": ["-fsanitize=<(sanitizers)", "-Wl,-Bsymbolic-functions"]
        }
      },
      # A worker that ends unloads the addon; a look-up may still be on its way out of it then.
      "ldflags": ["-Wl,-z,nodelete"]
    }
  ]
}
