#include "runtime/cli/connect/token.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>

#include "runtime/cli/files.h"
#include "runtime/server/address.h"
#include "runtime/server/tokens.h"

namespace weft::cli {
namespace {

constexpr std::size_t kTokenBytesMax = 4'096;
constexpr std::string_view kListening = "0A";  // The state's number in the kernel's tables.

Result<std::string> trimmed(const std::string& text, const std::string& from) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  const std::size_t end = text.find_last_not_of(" \t\r\n");
  const std::string token = begin == std::string::npos ? "" : text.substr(begin, end - begin + 1);
  const bool fits = !token.empty() && token.size() <= kTokenBytesMax &&
                    std::ranges::all_of(token, [](unsigned char c) { return c > 0x20 && c < 0x7F; });
  if (!fits) return invalid_argument(fmt::format("{} holds no token: one word of printable ASCII", from));
  return token;
}

// Counts who listens on the port in one table: lines of "sl local remote st queues timer retransmits uid …".
void count_listeners(const std::string& table, int port, std::size_t& mine, std::size_t& others) {
  std::ifstream in(table);
  std::string line;
  std::getline(in, line);
  while (std::getline(in, line)) {
    std::istringstream words(line);
    std::string slot, local, remote, state, queues, timer, retransmits, uid;
    words >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> uid;
    const std::size_t colon = local.rfind(':');
    int number = 0;
    if (state != kListening || colon == std::string::npos) continue;
    std::from_chars(local.data() + colon + 1, local.data() + local.size(), number, 16);
    if (number != port) continue;
    ++(uid == std::to_string(::geteuid()) ? mine : others);
  }
}

}  // namespace

bool listens_as_me(int port, const std::string& folder) {
  std::size_t mine = 0;
  std::size_t others = 0;
  for (const char* table : {"/tcp", "/tcp6"}) count_listeners(folder + table, port, mine, others);
  return mine > 0 && others == 0;
}

Result<std::string> token_for(const std::string& address, const Global& global, const engine::Getenv& environment,
                              const std::string& own_token_file) {
  if (address.starts_with("unix:")) return std::string();
  std::string token;
  if (!global.token_file.empty()) {
    WEFT_TRY(const std::string text, read_file(global.token_file, kTokenBytesMax, Pipes::kTaken));
    WEFT_TRY(token, trimmed(text, global.token_file));
  } else if (const auto given = environment("WEFT_TOKEN"); given && !given->empty()) {
    WEFT_TRY(token, trimmed(*given, "WEFT_TOKEN"));
  }
  const auto port = server::parse_address(address);
  if (!token.empty()) {
    if (port) return token;
    return invalid_argument(
        fmt::format("a token is for a port of this machine, and {} is none: without TLS it would be read on the way; "
                    "a tunnel gives the server a port here",
                    address));
  }
  if (!port || own_token_file.empty() || !listens_as_me(port->port)) return token;
  auto own = server::read_own_token(own_token_file);
  return own ? *std::move(own) : std::string();
}

}  // namespace weft::cli
