// libcurl's multi handle on a Loop: libcurl tells which sockets and which time it waits for, libuv watches them and
// wakes it. Private to base/http.cpp.
#pragma once

#include <curl/curl.h>
#include <uv.h>

#include <functional>

#include "base/loop.h"

namespace weft {

// Loop only.
class HttpSockets {
 public:
  // Told with what curl_multi_socket_action is to be called.
  using OnReady = std::move_only_function<void(curl_socket_t fd, int events)>;

  HttpSockets(Loop& loop, OnReady on_ready);
  ~HttpSockets();  // REQUIRES: no transfer is left in the multi handle.
  HttpSockets(const HttpSockets&) = delete;
  HttpSockets& operator=(const HttpSockets&) = delete;

  CURLM* multi() const { return multi_; }

 private:
  // One watched socket. Outlives this object until libuv has closed it.
  struct Socket {
    uv_poll_t poll{};
    HttpSockets* owner = nullptr;
    curl_socket_t fd = 0;
  };

  static int on_socket(CURL* easy, curl_socket_t fd, int what, void* user, void* known);
  static int on_timeout(CURLM* multi, long wait_ms, void* user);

  uv_loop_t* loop_;
  OnReady on_ready_;
  CURLM* multi_;
  uv_timer_t* timer_;  // Owned by the loop from its start to its close, which comes after this object's end.
};

}  // namespace weft
