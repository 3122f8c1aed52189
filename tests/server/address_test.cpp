#include "runtime/server/address.h"

#include <catch2/catch.hpp>

namespace weft::server {

TEST_CASE("only addresses that no other machine reaches are taken") {
  for (const char* text :
       {"0.0.0.0:7460", "192.168.1.4:80", "[::]:1", "example.com:80", ":7460", "127.0.0.1.nip.io:1"}) {
    INFO(text);
    const auto address = parse_address(text);
    REQUIRE_FALSE(address);
    CHECK(address.error().code == Code::kInvalidArgument);
    CHECK(address.error().message.find("until there is TLS") != std::string::npos);
  }
}

TEST_CASE("an address reads back as it was written") {
  for (const char* text : {"unix:/run/weft.sock", "unix:weft.sock", "127.0.0.1:7460", "[::1]:0"}) {
    INFO(text);
    const auto address = parse_address(text);
    REQUIRE(address);
    CHECK(to_text(*address) == text);
  }
  CHECK(to_text(*parse_address("localhost:1")) == "127.0.0.1:1");
  CHECK(to_text(*parse_address("unix:///run/weft.sock")) == "unix:/run/weft.sock");
}

TEST_CASE("a port that is none, and a path too long for the kernel, are refused in words") {
  for (const char* text :
       {"127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:1x", "unix:", ""}) {
    INFO(text);
    CHECK_FALSE(parse_address(text));
  }
  const auto long_path = parse_address("unix:/" + std::string(kUnixPathMax, 'p'));
  REQUIRE_FALSE(long_path);
  CHECK(long_path.error().message.find("107") != std::string::npos);
}

}  // namespace weft::server
