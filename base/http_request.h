// What a request may look like, and how its parts are read. Of the HTTP client's own files.
#pragma once

#include <string>
#include <string_view>

#include "base/http.h"

namespace weft {

// Refuses what would change the shape of the request. The message does not repeat a value: it may be a secret.
Status check_request(const HttpRequest& request);
// "http://host:port" of a URL: where its connections go.
std::string origin(std::string_view url);
std::string lower_case(std::string_view text);           // Of ASCII.
std::string_view without_blanks(std::string_view text);  // At both ends.

}  // namespace weft
