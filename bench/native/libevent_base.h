#ifndef BENCH_LIBEVENT_BASE_H
#define BENCH_LIBEVENT_BASE_H

#include <event2/event.h>

// An event base on the backend named (select, poll or epoll), or on libevent's choice for NULL.
struct event_base* new_libevent_base(const char* backend);

#endif
