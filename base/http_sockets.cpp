#include "base/http_sockets.h"

#include <memory>
#include <mutex>
#include <utility>

#include "base/check.h"

namespace weft {

HttpSockets::HttpSockets(Loop& loop, OnReady on_ready)
    : loop_(static_cast<uv_loop_t*>(loop.native())),
      on_ready_([&loop, on_ready = std::move(on_ready)](curl_socket_t socket, int flags) mutable {
        loop.begin_turn();
        on_ready(socket, flags);
        loop.end_turn();
      }),
      timer_(new uv_timer_t{}) {
  static std::once_flag once;
  std::call_once(once, [] { WEFT_CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK, "libcurl does not start"); });
  multi_ = curl_multi_init();
  WEFT_CHECK(multi_ != nullptr, "libcurl makes no multi handle");
  uv_timer_init(loop_, timer_);
  timer_->data = this;
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &on_socket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &on_timeout);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
}

HttpSockets::~HttpSockets() {
  curl_multi_cleanup(multi_);
  uv_timer_stop(timer_);
  uv_close(reinterpret_cast<uv_handle_t*>(timer_),
           [](uv_handle_t* handle) { delete reinterpret_cast<uv_timer_t*>(handle); });
}

int HttpSockets::on_socket(CURL*, curl_socket_t fd, int what, void* user, void* known) {
  HttpSockets& self = *static_cast<HttpSockets*>(user);
  auto* socket = static_cast<Socket*>(known);
  if (what == CURL_POLL_REMOVE) {
    if (socket == nullptr) return 0;
    curl_multi_assign(self.multi_, fd, nullptr);
    socket->owner = nullptr;
    uv_poll_stop(&socket->poll);
    uv_close(reinterpret_cast<uv_handle_t*>(&socket->poll),
             [](uv_handle_t* handle) { delete static_cast<Socket*>(handle->data); });
    return 0;
  }
  if (socket == nullptr) {
    auto made = std::make_unique<Socket>();
    made->owner = &self;
    made->fd = fd;
    made->poll.data = made.get();
    WEFT_CHECK(uv_poll_init_socket(self.loop_, &made->poll, fd) == 0, "a socket of libcurl cannot be watched");
    socket = made.release();  // The handle owns it until it is closed.
    curl_multi_assign(self.multi_, fd, socket);
  }
  const int events = ((what & CURL_POLL_IN) != 0 ? UV_READABLE : 0) | ((what & CURL_POLL_OUT) != 0 ? UV_WRITABLE : 0);
  uv_poll_start(&socket->poll, events, [](uv_poll_t* handle, int status, int ready) {
    const auto& seen = *static_cast<Socket*>(handle->data);
    if (seen.owner == nullptr) return;
    int flags = 0;
    if (status < 0) flags |= CURL_CSELECT_ERR;
    if ((ready & UV_READABLE) != 0) flags |= CURL_CSELECT_IN;
    if ((ready & UV_WRITABLE) != 0) flags |= CURL_CSELECT_OUT;
    seen.owner->on_ready_(seen.fd, flags);
  });
  return 0;
}

int HttpSockets::on_timeout(CURLM*, long wait_ms, void* user) {
  HttpSockets& self = *static_cast<HttpSockets*>(user);
  if (wait_ms < 0) {
    uv_timer_stop(self.timer_);
    return 0;
  }
  uv_update_time(self.loop_);
  uv_timer_start(
      self.timer_,
      [](uv_timer_t* handle) { static_cast<HttpSockets*>(handle->data)->on_ready_(CURL_SOCKET_TIMEOUT, 0); },
      static_cast<std::uint64_t>(wait_ms), 0);
  return 0;
}

}  // namespace weft
