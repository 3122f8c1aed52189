// The vocabulary: laid out so that later parts add and never change, and named as the field names things.
#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "weft/v1/admin.pb.h"
#include "weft/v1/event.pb.h"
#include "weft/v1/runs.pb.h"
#include "weft/v1/tokens.pb.h"
#include "weft/v1/traces.pb.h"
#include "weft/v1/workflows.pb.h"

namespace {

namespace pb = google::protobuf;

const std::vector<const pb::FileDescriptor*>& files() {
  using namespace weft::v1;
  static const std::vector<const pb::FileDescriptor*> kFiles = {Content::descriptor()->file(),
                                                                Event::descriptor()->file(),
                                                                WorkflowsCheckRequest::descriptor()->file(),
                                                                Run::descriptor()->file(),
                                                                TracesGetRequest::descriptor()->file(),
                                                                AdminStatsRequest::descriptor()->file(),
                                                                TokensListRequest::descriptor()->file()};
  return kFiles;
}

// One line for each thing that a stored journal or a deployed client relies on.
std::set<std::string> vocabulary() {
  std::set<std::string> lines;
  for (const pb::FileDescriptor* file : files()) {
    for (int m = 0; m < file->message_type_count(); ++m) {
      const pb::Descriptor& message = *file->message_type(m);
      for (int f = 0; f < message.field_count(); ++f) {
        const pb::FieldDescriptor& field = *message.field(f);
        std::string type = field.type_name();
        if (field.message_type() != nullptr) type = field.message_type()->full_name();
        if (field.enum_type() != nullptr) type = field.enum_type()->full_name();
        lines.insert(message.full_name() + " " + std::to_string(field.number()) + " " + field.name() + " " +
                     (field.is_repeated() ? "repeated " : "") + (field.has_optional_keyword() ? "optional " : "") +
                     type);
      }
    }
    for (int e = 0; e < file->enum_type_count(); ++e) {
      const pb::EnumDescriptor& type = *file->enum_type(e);
      for (int v = 0; v < type.value_count(); ++v) {
        lines.insert(type.full_name() + " " + std::to_string(type.value(v)->number()) + " " + type.value(v)->name());
      }
    }
    for (int s = 0; s < file->service_count(); ++s) {
      const pb::ServiceDescriptor& service = *file->service(s);
      for (int m = 0; m < service.method_count(); ++m) {
        const pb::MethodDescriptor& method = *service.method(m);
        lines.insert(method.full_name() + " " + method.input_type()->full_name() + " " +
                     (method.server_streaming() ? "stream " : "") + method.output_type()->full_name());
      }
    }
  }
  return lines;
}

bool is_snake(const std::string& name) {
  return std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

}  // namespace

TEST_CASE("nothing of the recorded vocabulary is changed or gone") {
  const std::string path = std::string(WEFT_SOURCE_DIR) + "/proto/weft/v1/vocabulary.txt";
  const std::set<std::string> now = vocabulary();
  if (std::getenv("WEFT_REWRITE") != nullptr) {
    std::ofstream out(path);
    for (const std::string& line : now) out << line << "\n";
  }
  std::set<std::string> recorded;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) recorded.insert(line);
  REQUIRE_FALSE(recorded.empty());
  for (const std::string& line : recorded) {
    INFO("changed or gone: " << line);
    CHECK(now.contains(line));
  }
  for (const std::string& line : now) {
    INFO("new, to be recorded with WEFT_REWRITE=1: " << line);
    CHECK(recorded.contains(line));
  }
}

TEST_CASE("names follow buf's STANDARD rules, but for services, which are named as users call them") {
  for (const pb::FileDescriptor* file : files()) {
    CHECK(file->package() == "weft.v1");
    for (int e = 0; e < file->enum_type_count(); ++e) {
      const pb::EnumDescriptor& type = *file->enum_type(e);
      std::string prefix;
      for (std::size_t i = 0; i < type.name().size(); ++i) {
        const char c = type.name()[i];
        if (i > 0 && c >= 'A' && c <= 'Z') prefix += '_';
        prefix += static_cast<char>(std::toupper(c));
      }
      CHECK(type.FindValueByNumber(0)->name() == prefix + "_UNSPECIFIED");
      for (int v = 0; v < type.value_count(); ++v) CHECK(type.value(v)->name().starts_with(prefix + "_"));
    }
    for (int m = 0; m < file->message_type_count(); ++m) {
      for (int f = 0; f < file->message_type(m)->field_count(); ++f)
        CHECK(is_snake(file->message_type(m)->field(f)->name()));
    }
    for (int s = 0; s < file->service_count(); ++s) {
      const pb::ServiceDescriptor& service = *file->service(s);
      for (int m = 0; m < service.method_count(); ++m) {
        CHECK(service.method(m)->input_type()->name() == service.name() + service.method(m)->name() + "Request");
        CHECK(service.method(m)->output_type()->name() == service.name() + service.method(m)->name() + "Response");
      }
    }
  }
}

TEST_CASE("no event holds a map or a Struct, which lose integers and order") {
  for (const pb::FileDescriptor* file : files()) {
    for (int m = 0; m < file->message_type_count(); ++m) {
      const pb::Descriptor& message = *file->message_type(m);
      for (int f = 0; f < message.field_count(); ++f) {
        CHECK_FALSE(message.field(f)->is_map());
        if (message.field(f)->message_type() != nullptr)
          CHECK(message.field(f)->message_type()->full_name().starts_with("weft.v1."));
      }
    }
  }
}
