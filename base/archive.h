// Values as bytes and back, for what this very build reads again: caches, never records. A struct says once which of
// its members are kept, for both directions:
//
//   template <class Archive> void keep(Archive& archive, Slot& slot) {
//     auto& [phase, round, result] = slot;  // All of them: a member that is added does not compile until it is here.
//     archive(phase, round, result);
//   }
//
// Sizes are varints, integers too; the order of members is the format.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace weft {

template <class Value>
concept Message = requires(Value& value, const std::string& bytes) {
  value.SerializeAsString();
  value.ParseFromString(bytes);
};
template <class Value>
concept Sequence = requires(Value& value) {
  typename Value::value_type;
  value.emplace_back();
} && !std::is_same_v<Value, std::string>;
template <class Value>
concept Keyed = requires(Value& value) {
  typename Value::key_type;
  value.begin();
};

template <class Value>
concept Couple = requires(Value& value) {
  value.first;
  value.second;
};
// An optional value, or a pointer that owns one.
template <class Value>
concept Holder = requires(Value& value) {
  static_cast<bool>(value);
  *value;
};

class Packer {
 public:
  static constexpr bool kReads = false;

  template <class... Values>
  void operator()(const Values&... values) {
    (put(values), ...);
  }
  std::string take() { return std::move(bytes_); }

 private:
  void put_size(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<char>(value | 0x80));
    bytes_.push_back(static_cast<char>(value));
  }
  template <class Value>
  void put(const Value& value) {
    if constexpr (std::is_enum_v<Value> || std::is_integral_v<Value>) {
      put_size(static_cast<std::uint64_t>(value));
    } else if constexpr (std::is_same_v<Value, std::string>) {
      put_size(value.size());
      bytes_ += value;
    } else if constexpr (Message<Value>) {
      put(value.SerializeAsString());
    } else if constexpr (Sequence<Value> || Keyed<Value>) {
      put_size(value.size());
      for (const auto& element : value) put(element);
    } else if constexpr (Couple<Value>) {
      put(value.first);
      put(value.second);
    } else if constexpr (Holder<Value>) {
      put(static_cast<bool>(value));
      if (value) put(*value);
    } else {
      keep(*this, const_cast<Value&>(value));
    }
  }

  std::string bytes_;
};

// Bounded by the bytes: what claims to be longer than they are makes it fail. The values are then whatever was read.
class Unpacker {
 public:
  static constexpr bool kReads = true;

  explicit Unpacker(std::string_view bytes) : rest_(bytes) {}

  template <class... Values>
  void operator()(Values&... values) {
    (get(values), ...);
  }
  void fail() { failed_ = true; }
  bool failed() const { return failed_; }
  bool is_whole() const { return !failed_ && rest_.empty(); }  // All of it was read.

 private:
  std::uint64_t size() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<std::uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    fail();
    return 0;
  }
  // Of elements, each of which takes a byte at least.
  std::uint64_t count() {
    const std::uint64_t value = size();
    if (value > rest_.size()) fail();
    return failed_ ? 0 : value;
  }
  std::string_view piece() {
    const std::uint64_t length = count();
    const std::string_view bytes = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return bytes;
  }
  template <class Value>
  void get(Value& value) {
    if constexpr (std::is_enum_v<Value> || std::is_integral_v<Value>) {
      value = static_cast<Value>(size());
    } else if constexpr (std::is_same_v<Value, std::string>) {
      value = piece();
    } else if constexpr (Message<Value>) {
      const std::string_view bytes = piece();
      if (!value.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) fail();
    } else if constexpr (Sequence<Value>) {
      for (std::uint64_t left = count(); left > 0 && !failed_; --left) get(value.emplace_back());
    } else if constexpr (Keyed<Value>) {
      for (std::uint64_t left = count(); left > 0 && !failed_; --left) {
        if constexpr (requires { typename Value::mapped_type; }) {
          typename Value::key_type key{};
          get(key);
          get(value[std::move(key)]);
        } else {
          get_into(value);
        }
      }
    } else if constexpr (Couple<Value>) {
      get(value.first);
      get(value.second);
    } else if constexpr (Holder<Value>) {
      bool is_there = false;
      get(is_there);
      if (!is_there || failed_) return;
      get(emplace(value));
    } else {
      keep(*this, value);
    }
  }
  template <class Set>
  void get_into(Set& set) {
    typename Set::value_type value{};
    get(value);
    set.insert(std::move(value));
  }
  template <class Value>
  static Value& emplace(std::optional<Value>& value) {
    return value.emplace();
  }
  template <class Value>
  static Value& emplace(std::unique_ptr<Value>& value) {
    return *(value = std::make_unique<Value>());
  }
  template <class Value>
  static Value& emplace(std::shared_ptr<Value>& value) {
    return *(value = std::make_shared<Value>());
  }

  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace weft
