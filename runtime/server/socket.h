// A socket's descriptor, closed when this goes.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

namespace weft::server {

class Socket {
 public:
  // `flags`: SOCK_NONBLOCK, or 0. get() is negative where the kernel gave none.
  explicit Socket(int family, int flags = 0) : descriptor_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0)) {}
  ~Socket() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

}  // namespace weft::server
