/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* shapes.cpp: C++ with what makes names hard: templates, lambdas, operators, virtual and local functions, namespaces without a name. For sym_truth.sh. */
#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

extern "C" long c_part(long x); /* shapes.c: another unit, for link-time optimization */

namespace {
struct point {
	double x, y;
	point operator+(const point &o) const { return {x + o.x, y + o.y}; }
	double operator()(double f) const { return x * f + y; }
	explicit operator bool() const { return x > 0; }
	bool operator<(const point &o) const { return x < o.x || (x == o.x && y < o.y); }
};

template <typename T, int N> struct ring {
	T v[N] = {};
	unsigned at = 0;
	void put(T x) { v[at++ % N] = x; }
	template <typename F> T fold(F f) const { return std::accumulate(v, v + N, T(), f); }
};
} // namespace

namespace shop {
class shape {
public:
	virtual ~shape() = default;
	virtual double area() const = 0;
};

class square final : public shape {
	double side;

public:
	explicit square(double s) : side(s) {}
	double area() const override { return side * side; }
};

class circle final : public shape {
	double r;

public:
	explicit circle(double radius) : r(radius) {}
	double area() const override
	{
		struct local {
			static double pi(long n)
			{
				double sum = 0;
				for (long i = 0; i < n; i++)
					sum += (i % 2 ? -4.0 : 4.0) / (2.0 * (double)i + 1.0);
				return sum;
			}
		};
		return local::pi(1000) * r * r;
	}
};

template <typename K, typename V> __attribute__((noinline)) std::string show(const std::map<K, V> &m)
{
	std::ostringstream out;

	for (const auto &[k, v] : m)
		out << k << '=' << v << ' ';
	return out.str();
}

/* two that an ICF linker folds into one */
__attribute__((noinline)) long twice_a(long x) { return x * 2 + c_part(x); }
__attribute__((noinline)) long twice_b(long x) { return x * 2 + c_part(x); }

__attribute__((noinline)) long risky(long x)
{
	if (x > 1000000)
		throw std::runtime_error("too large: " + std::to_string(x));
	return twice_a(x) + twice_b(x + 1);
}
} // namespace shop

int main(int argc, char **argv)
{
	std::vector<std::unique_ptr<shop::shape>> shapes;
	std::map<std::string, double> areas;
	ring<long, 8> r;
	std::vector<point> points;

	for (int i = 0; i < argc * 10; i++) {
		if (i % 2)
			shapes.push_back(std::make_unique<shop::square>(i));
		else
			shapes.push_back(std::make_unique<shop::circle>(i));
		points.push_back({(double)(i * 7 % 5), (double)i});
		r.put(shop::risky(i));
	}
	std::sort(points.begin(), points.end());
	std::for_each(shapes.begin(), shapes.end(), [&](const auto &s) { areas[std::to_string(s->area())] += s->area(); });
	std::function<double(double)> f = points.front() + points.back();
	try {
		r.put(shop::risky(argc > 1 ? 2000000 : 1));
	} catch (const std::exception &e) {
		std::puts(e.what());
	}
	std::printf("%s %g %ld %s\n", shop::show(areas).c_str(), f(2), r.fold([](long a, long b) { return a ^ b; }), argv[0]);
	return points.front() ? 0 : 1;
}
