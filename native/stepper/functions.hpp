// Functions of one feature, by the names of settings. `a` and `b` are parameters that some of them have.
#pragma once

#include <algorithm>
#include <cmath>
#include <string_view>

namespace elman {

using Pointwise = float (*)(float x, float a, float b);

namespace functions {

inline float sigmoid(float x) { return 1.0f / (1.0f + std::exp(-x)); }

struct Named {
  std::string_view name;
  Pointwise function;
};

inline constexpr Named all[] = {
    {"tanh", [](float x, float, float) { return std::tanh(x); }},
    {"sigmoid", [](float x, float, float) { return sigmoid(x); }},
    {"relu", [](float x, float, float) { return x < 0.0f ? 0.0f : x; }},
    {"identity", [](float x, float, float) { return x; }},
    {"leaky_relu", [](float x, float slope, float) { return x < 0.0f ? slope * x : x; }},
    {"elu", [](float x, float alpha, float) { return x > 0.0f ? x : alpha * std::expm1(x); }},
    {"silu", [](float x, float, float) { return x * sigmoid(x); }},
    {"gelu", [](float x, float, float) { return 0.5f * x * (1.0f + std::erf(x * 0.70710678f)); }},
    {"gelu_tanh",
     [](float x, float, float) { return 0.5f * x * (1.0f + std::tanh(0.79788456f * (x + 0.044715f * x * x * x))); }},
    {"softplus", [](float x, float beta,
                    float threshold) { return beta * x > threshold ? x : std::log1p(std::exp(beta * x)) / beta; }},
    {"relu6", [](float x, float, float) { return std::clamp(x, 0.0f, 6.0f); }},
    {"hardtanh", [](float x, float least, float most) { return std::clamp(x, least, most); }},
};

// Null: there is no function of that name.
inline Pointwise find(std::string_view name) {
  for (const Named& one : all)
    if (one.name == name) return one.function;
  return nullptr;
}

}  // namespace functions
}  // namespace elman
