// The open connections of the HTTP face, so that one that is slow, or that takes too many, is closed. Of the face's
// thread alone.
#pragma once

#include <cstddef>
#include <map>

#include "base/time.h"

struct MHD_Connection;

namespace weft::server {

class HttpConnections {
 public:
  void opened(MHD_Connection* connection, int descriptor, Duration now) { open_[connection] = {descriptor, now}; }
  void answered(MHD_Connection* connection, Duration now);  // Its next request has its time again.
  void closed(MHD_Connection* connection) { open_.erase(connection); }
  // Closes what has taken longer than a request may, and, where nearly all places are taken, the oldest.
  void close_slow(Duration now);
  std::size_t places_left() const;

 private:
  struct Open {
    int descriptor = -1;
    Duration since{};
  };
  std::map<MHD_Connection*, Open> open_;
};

}  // namespace weft::server
