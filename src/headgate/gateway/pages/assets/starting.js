// MLflow's interface keeps its page in the address's fragment. A browser takes a refresh of such
// an address for a jump within the page and stays where it is; a reload is one.
setTimeout(() => location.reload(), 2000);
