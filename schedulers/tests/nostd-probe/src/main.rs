//! Links `schedulers` without the standard library. It is built, not run.
#![no_std]
#![no_main]

extern crate alloc;

use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;

use schedulers::{Algorithm, Counting, DestSpec, Flags, Flow, NoRandom, Service};

struct Nothing;

// SAFETY: handing out null is how an allocator refuses.
unsafe impl GlobalAlloc for Nothing {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static NOTHING: Nothing = Nothing;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

/// Every rule is reachable from here.
#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    for algorithm in Algorithm::ALL {
        let mut service = Service::new(algorithm, Flags::NONE);
        let flow = Flow::new([10, 0, 0, 1].into(), 1, [10, 0, 0, 2].into(), 2);
        if service.add_dest(DestSpec::new([10, 0, 0, 3].into(), 80, 1)).is_ok()
            && let Some(dest) = service.schedule(&flow, 0, &mut NoRandom)
            && service.bind(dest, Counting::Inactive).is_ok()
        {
            let state = service.save();
            let _restored = Service::restore(&state);
        }
        service.run_timer(0);
    }
    loop {}
}
