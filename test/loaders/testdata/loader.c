// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
// A loader over libbpf: loader OBJECT PIN_ROOT_PATH
//
// It loads OBJECT, prints "map NAME ID" for each map and "ready", and then does what it reads, one
// command a line, keys and values in hex, until its input ends:
//   put MAP KEY VALUE | get MAP KEY | run PACKET
// Each is answered by "ok", "ok VALUE" or "error ERRNO".
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

enum { MAX_BYTES = 1 << 15 };

static int parse_hex(const char *text, unsigned char *bytes)
{
	int n = 0;

	for (; n < MAX_BYTES && sscanf(text, "%2hhx", &bytes[n]) == 1; text += 2)
		n++;
	return n;
}

static void answer(int err, const unsigned char *value, size_t size)
{
	if (err) {
		printf("error %d\n", err < 0 ? -err : err);
	} else {
		printf("ok ");
		for (size_t i = 0; i < size; i++)
			printf("%02x", value[i]);
		printf("\n");
	}
	fflush(stdout);
}

static size_t value_bytes(const struct bpf_map *map)
{
	if (bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_ARRAY)
		return libbpf_num_possible_cpus() * ((bpf_map__value_size(map) + 7) & ~7);
	return bpf_map__value_size(map);
}

static void run(struct bpf_object *object, const char *packet)
{
	unsigned char data[256] = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data, .data_size_in = 64, .repeat = 1);
	struct bpf_program *program = bpf_object__find_program_by_name(object, "filter");
	int err;

	if (strlen(packet) > 2 * sizeof(data)) {
		answer(-E2BIG, NULL, 0);
		return;
	}
	opts.data_size_in = parse_hex(packet, data);
	err = bpf_prog_test_run_opts(bpf_program__fd(program), &opts);
	answer(err, (unsigned char *)&opts.retval, sizeof(opts.retval));
}

static void element(struct bpf_object *object, const char *what, const char *name, const char *key_text, const char *value_text)
{
	static unsigned char key[MAX_BYTES], value[MAX_BYTES];
	struct bpf_map *map = bpf_object__find_map_by_name(object, name);
	int key_size = parse_hex(key_text, key);
	size_t size = map ? value_bytes(map) : 0;

	if (!map || key_size != (int)bpf_map__key_size(map) || size > sizeof(value)) {
		answer(-EINVAL, NULL, 0);
	} else if (!strcmp(what, "get")) {
		answer(bpf_map__lookup_elem(map, key, key_size, value, size, 0), value, size);
	} else if (parse_hex(value_text, value) != (int)size) {
		answer(-EINVAL, NULL, 0);
	} else {
		answer(bpf_map__update_elem(map, key, key_size, value, size, BPF_ANY), NULL, 0);
	}
}

static void serve(struct bpf_object *object)
{
	static char line[4 * MAX_BYTES], what[16], name[64], key[2 * MAX_BYTES], value[2 * MAX_BYTES];

	while (fgets(line, sizeof(line), stdin)) {
		what[0] = name[0] = key[0] = value[0] = 0;
		sscanf(line, "%15s %63s", what, name);
		if (!strcmp(what, "run")) {
			sscanf(line, "%*s %65535s", key);
			run(object, key);
			continue;
		}
		sscanf(line, "%*s %*s %65535s %65535s", key, value);
		element(object, what, name, key, value);
	}
}

/* Arenas are mapped at the address in $ARENA_AT. */
static int place_arenas(struct bpf_object *object)
{
	const enum bpf_map_type arena = 33; /* BPF_MAP_TYPE_ARENA, which older headers lack */
	const char *at = getenv("ARENA_AT");
	struct bpf_map *map;

	bpf_object__for_each_map(map, object)
		if (at && bpf_map__type(map) == arena && bpf_map__set_map_extra(map, strtoull(at, NULL, 0)))
			return -1;
	return 0;
}

int main(int argc, char **argv)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts);
	struct bpf_object *object;
	struct bpf_map *map;

	if (argc != 3) {
		fprintf(stderr, "usage: loader OBJECT PIN_ROOT_PATH\n");
		return 2;
	}
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	opts.pin_root_path = argv[2];
	object = bpf_object__open_file(argv[1], &opts);
	if (!object || place_arenas(object) || bpf_object__load(object)) {
		fprintf(stderr, "load %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	bpf_object__for_each_map(map, object) {
		struct bpf_map_info info = {};
		__u32 size = sizeof(info);

		if (bpf_obj_get_info_by_fd(bpf_map__fd(map), &info, &size)) {
			perror("describe map");
			return 1;
		}
		printf("map %s %u\n", bpf_map__name(map), info.id);
	}
	printf("ready\n");
	fflush(stdout);
	serve(object);
	bpf_object__close(object);
	return 0;
}
