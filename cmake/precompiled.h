// What nearly every file reads, parsed once where WEFT_PCH says so: the standard library, two libraries, the events.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <variant>
#include <vector>

#include "weft/v1/event.pb.h"
#include "weft/v1/runs.pb.h"
#include "weft/v1/traces.pb.h"
#include "weft/v1/workflows.pb.h"
